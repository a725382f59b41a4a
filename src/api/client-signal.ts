import type { FastifyReply } from 'fastify'
import { CbtorError } from '../domain/errors.ts'

/** Calls its argument once the caller's key is revoked or expires. */
export type KeyWatch = (listener: () => void) => Disposable

/** What becomes of what goes on in the name of a key that is revoked or expires. */
export function keyGone(): CbtorError {
  return new CbtorError('auth_invalid', 'Cannot go on: the key was revoked or has expired')
}

/**
 * Aborts with `client_gone` as soon as the client's connection closes before its answer is out, and with `auth_invalid` when
 * its key is revoked or expires meanwhile. (Watches the response: a request counts as closed once its body has been read.)
 */
export function clientSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  const gone = reply.request.onKeyGone?.(() => controller.abort(keyGone()))
  reply.raw.once('close', () => {
    gone?.[Symbol.dispose]()
    if (!reply.raw.writableEnded) {
      controller.abort(new CbtorError('client_gone', 'Cannot answer: the client closed its connection'))
    }
  })
  return controller.signal
}

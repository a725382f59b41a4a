import type { FastifyReply } from 'fastify'
import { CbtorError } from '../domain/errors.ts'

/**
 * Aborts with `client_gone` as soon as the client's connection closes before its answer is out, and with `auth_invalid` when
 * its key is revoked or expires meanwhile. (Watches the response:
 * a request counts as closed once its body has been read.)
 */
export function clientSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  const gone = reply.request.onKeyGone?.(() =>
    controller.abort(new CbtorError('auth_invalid', 'Cannot go on: the key was revoked or has expired')),
  )
  reply.raw.once('close', () => {
    gone?.[Symbol.dispose]()
    if (!reply.raw.writableEnded) {
      controller.abort(new CbtorError('client_gone', 'Cannot answer: the client closed its connection'))
    }
  })
  return controller.signal
}

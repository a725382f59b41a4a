import type { FastifyReply } from 'fastify'
import { CbtorError } from '../domain/errors.ts'

/**
 * Aborts with `client_gone` as soon as the client's connection closes before its answer is out. (Watches the response:
 * a request counts as closed once its body has been read.)
 */
export function clientSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableEnded) {
      controller.abort(new CbtorError('client_gone', 'Cannot answer: the client closed its connection'))
    }
  })
  return controller.signal
}

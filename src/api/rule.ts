import type { FastifyReply, FastifyRequest } from 'fastify'

/**
 * What holds for every request, as a hook: `check` throws what is against it. Fastify has async hooks, too, but each of them costs a
 * request a promise and several turns of the microtask queue.
 */
export function rule(check: (request: FastifyRequest, reply: FastifyReply) => void) {
  return (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void => {
    try {
      check(request, reply)
    } catch (error) {
      done(error as Error)
      return
    }
    done()
  }
}

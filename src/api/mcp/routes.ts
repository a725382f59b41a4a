import { createMcpHandler } from '@modelcontextprotocol/server'
import type { FastifyRequest } from 'fastify'
import { CbtorError } from '../../domain/errors.ts'
import type { Clock } from '../../lib/clock.ts'
import { faultFields } from '../../lib/fault-fields.ts'
import type { Logger } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import { createMcpServer } from '../../mcp/server.ts'
import type { ApiApp } from '../app.ts'
import type { Backend } from '../backend.ts'
import { clientSignal } from '../client-signal.ts'
import { InputError } from '../problems.ts'
import { backendGateway } from './backend-gateway.ts'
import { RunningCalls } from './running-calls.ts'

export interface McpRouteParts {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

const SESSION = 'mcp-session-id'
/** By nobody, as all that we answer, and passed on as it comes: a stream that a proxy compresses is held back. */
const NOT_KEPT = 'no-store, no-transform'

interface Message {
  readonly method?: unknown
  readonly id?: unknown
  readonly params?: unknown
}

/**
 * MCP's streamable HTTP, of 2026 and of before, for the same key and by the same rules as the rest of the API. Each POST is a server of
 * its own; a GET, which would wait for messages that we never send by ourselves, and a DELETE are answered 405, as MCP has it.
 */
export function mcpRoutes(app: ApiApp, backend: Backend, { clock, random, logger }: McpRouteParts): void {
  const running = new RunningCalls()

  app.post('/mcp', { schema: { hide: true } }, async (request, reply) => {
    const { caller } = request
    const message = messageOf(request.body)
    const cancelled = beginCall(request, message)
    reply.raw.once('close', () => cancelled?.end())
    const never = new AbortController().signal
    const isCancelled = cancelled?.signal ?? never
    const signal = AbortSignal.any([clientSignal(reply), isCancelled])
    const handler = createMcpHandler(
      () =>
        createMcpServer({
          gateway: backendGateway(backend, caller, clock),
          version: backend.service().version,
          ...{ clock, random, signal },
          onBug: (error) => {
            logger.error({ request: request.id, route: '/mcp', ...faultFields(error) }, 'request failed by a bug')
          },
        }),
      { maxSubscriptions: 0 }, // to changes of the tools, which there are none of
    )
    if (message.method === 'initialize') reply.header(SESSION, random.bytes(16).toString('hex'))
    // Who cancelled a call gets no answer. Who has gone gets none anyway, and whose key has gone is told.
    const answer = await handler.fetch(webRequest(request, isCancelled), { parsedBody: message })
    // The library's own word lets a cache keep what a target sent.
    answer.headers.set('cache-control', NOT_KEPT)
    return reply.send(answer)
  })

  /** Undefined for what nobody can cancel from elsewhere. */
  function beginCall({ caller, headers }: FastifyRequest, { method, id, params }: Message) {
    const { [SESSION]: session } = headers
    if (typeof session !== 'string') return undefined
    const name = (requestId: unknown) =>
      typeof requestId === 'string' || typeof requestId === 'number'
        ? { caller: caller.id, session, id: requestId }
        : undefined
    if (method === 'notifications/cancelled') {
      const cancelled = name((params as { readonly requestId?: unknown } | undefined)?.requestId)
      if (cancelled) running.cancel(cancelled, new CbtorError('client_gone', 'Cannot answer: the call was cancelled'))
      return undefined
    }
    const called = name(id)
    return method === 'tools/call' && called ? running.begin(called) : undefined
  }
}

/** Lists of messages are of a version that hardly anybody spoke; each would be many requests in one. */
function messageOf(body: unknown): Message {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body
  throw new InputError([{ path: '', message: 'must be one JSON-RPC message, an object, sent as application/json' }])
}

/** The library reads the head alone: the body has been read, and who asks has been settled. */
function webRequest({ headers }: FastifyRequest, signal: AbortSignal): Request {
  const shown = new Headers({ 'content-type': 'application/json' })
  for (const [name, value] of Object.entries(headers)) {
    if ((name === 'accept' || name.startsWith('mcp-')) && typeof value === 'string') shown.set(name, value)
  }
  return new Request('http://localhost/mcp', { method: 'POST', headers: shown, signal })
}

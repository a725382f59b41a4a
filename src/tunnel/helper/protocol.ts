import { join } from 'node:path'
import { z } from 'zod'
import { TUNNEL_FAULTS, TunnelError } from '../errors.ts'
import { MAX_TUNNEL } from '../spec.ts'
import type { TunnelStatus } from '../tunnels.ts'

/**
 * Between the service and the process that may change the network: over a unix socket, a connection for each request, one
 * line of JSON each way. Nothing but a verb and a number goes in, so nothing can be injected; the connection's end before
 * the answer takes the request back.
 */
export type TunnelVerb = 'up' | 'down' | 'reconnect' | 'status'

export interface TunnelRequest {
  readonly verb: TunnelVerb
  readonly n: number
}

/** Where `cbtor tunnel serve` serves, unless told otherwise. */
export const DEFAULT_SOCKET = '/run/cbtor/tunnel.sock'
/** Of a line, in bytes. */
export const MAX_REQUEST = 256
export const MAX_ANSWER = 64 * 1024

const requestSchema = z.strictObject({
  verb: z.enum(['up', 'down', 'reconnect', 'status']),
  n: z.int().min(1).max(MAX_TUNNEL),
})

const statusSchema = z.object({
  isUp: z.boolean(),
  handshakeAgeMs: z.number().optional(),
  rxBytes: z.number(),
  txBytes: z.number(),
  killSwitch: z.boolean(),
  defaultRoute: z.boolean(),
  rule: z.boolean(),
  lock: z.boolean(),
  problems: z.array(z.string()),
})

const answerSchema = z.union([
  z.object({ ok: z.literal(true), status: statusSchema.optional() }),
  z.object({ ok: z.literal(false), fault: z.enum(TUNNEL_FAULTS), message: z.string() }),
])

/** Where the helper serves that a service with this state directory has started for itself. */
export function socketOfService(stateDirectory: string): string {
  return join(stateDirectory, 'tunnel.sock')
}

/** Throws a `TunnelError` that says what is wrong with the line. */
export function parseRequest(line: string): TunnelRequest {
  const result = requestSchema.safeParse(parseJson(line))
  if (result.success) return result.data
  throw new TunnelError(
    'invalid',
    `Cannot read the request: expected {"verb": "up", "down", "reconnect" or "status", "n": 1 to ${MAX_TUNNEL}}`,
  )
}

export function formatRequest(request: TunnelRequest): string {
  return `${JSON.stringify(request)}\n`
}

export function formatAnswer(status: TunnelStatus | undefined): string {
  return `${JSON.stringify({ ok: true, status })}\n`
}

export function formatFailure(error: unknown): string {
  const { fault, message } =
    error instanceof TunnelError
      ? error
      : { fault: 'failed', message: error instanceof Error ? error.message : `${error}` }
  return `${JSON.stringify({ ok: false, fault, message })}\n`
}

/** The status, if it is one. Throws the `TunnelError` that the other side told of, or that its answer is none. */
export function parseAnswer(line: string): TunnelStatus | undefined {
  const result = answerSchema.safeParse(parseJson(line))
  if (!result.success) {
    throw new TunnelError(
      'no-helper',
      'Cannot read the answer of the tunnel helper: is it of the same version of CBTOR?',
    )
  }
  if (!result.data.ok) throw new TunnelError(result.data.fault, result.data.message)
  const { status } = result.data
  if (status === undefined) return undefined
  const { handshakeAgeMs, ...rest } = status
  return { ...rest, ...(handshakeAgeMs !== undefined && { handshakeAgeMs }) }
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

import type { Socket } from 'node:net'
import type { Clock } from '../lib/clock.ts'
import { IdleWatch } from '../lib/idle-watch.ts'
import type { TunnelOutcome } from './backend.ts'
import { carry } from './carry.ts'
import { cutOff } from './cut-off.ts'
import { beginsTls } from './early-data.ts'
import { endGently } from './end-gently.ts'

export interface TunnelLimits {
  /** How long nothing may flow in either direction. */
  readonly idleMs: number
  /** The same once the client has sent all it will: most that do so have left. */
  readonly halfClosedIdleMs: number
}

/** The target's side of a tunnel. */
export interface Upstream {
  readonly socket: Socket
  /** Asked when the socket has come to its end: whether the worker has, rather than the target. Never rejects. */
  lost(): Promise<boolean>
}

export const DEFAULT_TUNNEL_LIMITS: TunnelLimits = { idleMs: 300_000, halfClosedIdleMs: 10_000 }

/**
 * Joins two connected sockets and resolves, when nothing more will come from the target, with how it went. Each side is read no
 * faster than the other takes it. The upstream socket is destroyed by then; the client's still gets the end of what came.
 *
 * The client's end is not passed on: Tor takes the end of what is sent for the end of the stream, and would cut off the answer. It
 * is only remembered, and the answer flows on. But a client that has sent nothing has left by then, and so has one that speaks
 * TLS, where nobody ends one side alone. When the target's side breaks, or its worker is lost, the client's connection is reset,
 * so that nobody takes what has come for all there was. When the client's side breaks, or it leaves, the target's is destroyed.
 *
 * `ahead`: what the client has sent to the target already, if it has.
 */
export function splice(
  client: Socket,
  { socket: upstream, lost }: Upstream,
  ahead: Buffer,
  limits: TunnelLimits,
  clock: Clock,
): Promise<TunnelOutcome> {
  const { promise, resolve } = Promise.withResolvers<TunnelOutcome>()
  let isOver = false
  let mayWait = ahead.length > 0 && !beginsTls(ahead)
  let flows: readonly Disposable[] = []

  const settle = (outcome: TunnelOutcome): void => {
    if (isOver) return
    isOver = true
    watch[Symbol.dispose]()
    for (const flow of flows) flow[Symbol.dispose]()
    client.off('end', onClientEnd).off('close', onClientClose)
    upstream.off('end', onUpstreamEnd).off('close', onUpstreamClose)
    upstream.destroy()
    if (outcome === 'ok') endGently(client, clock, limits.idleMs)
    else if (outcome === 'connection_lost') cutOff(client)
    else client.destroy()
    resolve(outcome)
  }
  const onClientEnd = () => (mayWait ? watch.shorten(limits.halfClosedIdleMs) : onClientClose())
  const onClientClose = () => settle(upstream.readableEnded ? 'ok' : 'client_gone')
  const onUpstreamEnd = () => {
    // Its other half is of no use: Tor ends both at once.
    upstream.off('close', onUpstreamClose).destroy()
    void lost().then((isLost) => settle(isLost ? 'connection_lost' : 'ok'))
  }
  const onUpstreamClose = () => settle('connection_lost')
  const watch = new IdleWatch(
    clock,
    limits.idleMs,
    () => delivered(client) + delivered(upstream) + client.bytesRead + upstream.bytesRead,
    () => settle('timeout'),
  )

  client.on('error', ignore).on('end', onClientEnd).on('close', onClientClose)
  upstream.on('error', ignore).on('end', onUpstreamEnd).on('close', onUpstreamClose)
  if (client.destroyed) onClientClose()
  else if (upstream.destroyed) onUpstreamClose()
  else {
    if (client.readableEnded) onClientEnd()
    const onFirst = (chunk: Buffer) => {
      if (ahead.length === 0) mayWait = !beginsTls(chunk)
    }
    flows = [carry(client, upstream, onFirst), carry(upstream, client)]
  }
  return promise
}

/** What has left for the kernel: it goes on while a side that reads slowly still reads. */
function delivered({ bytesWritten, writableLength }: Socket): number {
  return bytesWritten - writableLength
}

function ignore(): void {}

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../lib/clock.ts'
import { PaceWatch } from '../lib/pace-watch.ts'
import type { ApiApp } from './app.ts'
import { inPieces, PIECE } from './in-pieces.ts'
import { rule } from './rule.ts'

/** A body comes no slower than this: 500 bytes a second. */
const BODY_PACE = { bytes: 5_000, withinMs: 10_000 }
/** An answer is taken no slower than this; what the kernel holds of it, up to some MiB, counts as taken. */
const ANSWER_PACE = { bytes: 1024 * 1024, withinMs: 120_000 }

/**
 * Lets go of clients that would hold a request or its answer in our memory for as long as they like. The one gets a 408 and the end
 * of its connection, as from Node when the whole request takes longer than 30 s; the other, which has part of its answer, the end.
 */
export function refuseSlowClients(app: ApiApp, clock: Clock): void {
  app.addHook(
    'onRequest',
    rule(({ raw }) => watchBody(raw)),
  )
  app.addHook('onSend', (_request, reply, payload, done) => {
    watchAnswer(reply.raw, clock)
    if (typeof payload !== 'string' || payload.length <= PIECE) {
      done(null, payload)
      return
    }
    reply.header('content-length', Buffer.byteLength(payload))
    done(null, inPieces(payload))
  })

  function watchBody(request: IncomingMessage): void {
    const { 'content-length': length, 'transfer-encoding': coding } = request.headers
    if (coding === undefined && Number(length ?? 0) === 0) return
    const { socket } = request
    const watch = new PaceWatch(clock, BODY_PACE, {
      moved: () => socket.bytesRead,
      isWaiting: () => !request.complete,
      onSlow() {
        const late = Object.assign(new Error('The body is too slow'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
        app.server.emit('clientError', late, socket)
      },
    })
    const stop = () => watch[Symbol.dispose]()
    request.once('end', stop).once('close', stop)
  }
}

/** For an answer that goes out by no hook of Fastify's. */
export function watchAnswer(response: ServerResponse, clock: Clock): void {
  const { socket } = response
  if (socket === null || socket === undefined || socket.destroyed) return // `inject` makes answers without
  const watch = new PaceWatch(clock, ANSWER_PACE, {
    moved: () => socket.bytesWritten - socket.writableLength,
    isWaiting: () => socket.writableLength > 0,
    onSlow: () => socket.destroy(),
  })
  response.once('close', () => watch[Symbol.dispose]())
}

import { connect } from 'node:net'
import { onAbort } from '../lib/abort.ts'
import { isLoopbackAddress } from '../lib/loopback.ts'

/** Enough to tell an answer by. */
const ENOUGH_BYTES = 256

/**
 * Says something to a port of our own service and resolves with the beginning of what it answers, one character a byte; empty when it
 * hangs up. Rejects when nobody listens, and with the signal's reason.
 */
export async function knock(
  { host, port }: { readonly host: string; readonly port: number },
  greeting: string,
  signal: AbortSignal,
): Promise<string> {
  signal.throwIfAborted()
  const socket = connect({ host: isLoopbackAddress(host) ? host : host.includes(':') ? '::1' : '127.0.0.1', port })
  const answered = Promise.withResolvers<string>()
  let answer = ''
  using _ = onAbort(signal, answered.reject)
  socket.setEncoding('latin1')
  socket.on('data', (text: string) => {
    answer += text
    if (answer.length >= 2) answered.resolve(answer.slice(0, ENOUGH_BYTES))
  })
  socket.once('error', answered.reject)
  socket.once('close', () => answered.resolve(answer))
  socket.write(greeting, 'latin1')
  try {
    return await answered.promise
  } finally {
    socket.destroy()
  }
}

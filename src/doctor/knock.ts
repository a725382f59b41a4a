import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { onAbort } from '../lib/abort.ts'
import type { ListenAddress } from '../listen/address.ts'

/** Enough to tell an answer by. */
const ENOUGH_BYTES = 256

/**
 * Says something to a port of our own service and resolves with the beginning of what it answers, one character a byte; empty when it
 * hangs up. Rejects when nobody listens, and with the signal's reason.
 */
export async function knock(
  address: ListenAddress,
  { greeting, isSecured = false }: { readonly greeting: string; readonly isSecured?: boolean },
  signal: AbortSignal,
): Promise<string> {
  signal.throwIfAborted()
  const socket = isSecured ? connectSecured(address) : open(address)
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

function open(address: ListenAddress): Socket {
  return 'path' in address ? connect({ path: address.path }) : connect({ host: address.host, port: address.port })
}

/** Whose certificate it is does not matter here: nothing that is said is secret, and nothing that is answered is believed. */
function connectSecured(address: ListenAddress): Socket {
  return connectTls({ socket: open(address), rejectUnauthorized: false })
}

/** The two questions that are asked of the network's own daemons by their control sockets (control-spec). */
import { createConnection } from 'node:net'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { abortable } from '../../lib/abort.ts'

/** Resolves when `count` descriptors of the onion service are stored, as HS_DESC events tell. */
export async function descriptorsUploaded(controlSocket: string, count: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = createConnection(controlSocket)
  socket.on('error', reject)
  socket.on('close', () => reject(new Error(`Cannot watch descriptors: ${controlSocket} was closed`)))
  let uploaded = 0
  createInterface(socket).on('line', (line) => {
    if (line.startsWith('650 HS_DESC UPLOADED ') && ++uploaded === count) resolve()
    if (/^[45]/.test(line)) reject(new Error(`Cannot watch descriptors by ${controlSocket}: ${line}`))
  })
  socket.write('AUTHENTICATE\r\nSETEVENTS HS_DESC\r\n')
  try {
    await abortable(promise, signal)
  } finally {
    socket.destroy()
  }
}

/** The ports that an exit refuses on every address, by the policy that it goes by at this moment. */
export async function refusedPorts(controlSocket: string, signal: AbortSignal): Promise<number[]> {
  const socket = createConnection(controlSocket)
  socket.write('AUTHENTICATE\r\nGETINFO exit-policy/full\r\nQUIT\r\n')
  try {
    return parseRefusedPorts(await abortable(text(socket), signal))
  } finally {
    socket.destroy()
  }
}

export function parseRefusedPorts(policy: string): number[] {
  return [...policy.matchAll(/\breject \*4?:(\d+)\b(?!-)/g)].map(([, port]) => Number(port))
}

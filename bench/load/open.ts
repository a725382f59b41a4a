import { connect, type Socket } from 'node:net'
import type { Way } from './order.ts'

export interface Site {
  readonly host: string
  readonly port: number
}

const NO_AUTH = Buffer.from([5, 1, 0])
const USER_AUTH = Buffer.from([5, 1, 2])
let made = 0
let turn = 0

/** A socket through which the request itself may be sent. Rejects when the proxy refuses or ends. */
export async function open(way: Way, { host, port }: Site, onSocket: (socket: Socket) => void): Promise<Socket> {
  const at = way.kind === 'fetch' ? way.port : (way.ports[turn++ % way.ports.length] ?? 0)
  const socket = connect(at, '127.0.0.1')
  socket.setNoDelay()
  onSocket(socket)
  if (way.kind === 'fetch' || way.kind === 'absolute') return socket
  if (way.kind === 'connect') {
    const said = `CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}:${port}\r\n${authorization(way)}\r\n`
    const answer = await exchange(socket, Buffer.from(said), (bytes) => bytes.includes('\r\n\r\n'))
    if (answer.toString('latin1', 9, 12) !== '200') throw new Error(`CONNECT: ${answer.toString('latin1', 9, 12)}`)
    return socket
  }
  const user = userOf(way)
  const method = await exchange(socket, user === undefined ? NO_AUTH : USER_AUTH, (bytes) => bytes.length >= 2)
  if (method[1] === 0xff) throw new Error('SOCKS: no method')
  if (user !== undefined) {
    const name = Buffer.from(user)
    const credentials = Buffer.concat([Buffer.from([1, name.length]), name, Buffer.from([1, 120])])
    const status = await exchange(socket, credentials, (bytes) => bytes.length >= 2)
    if (status[1] !== 0) throw new Error('SOCKS: refused')
  }
  const name = Buffer.from(host)
  const request = Buffer.concat([Buffer.from([5, 1, 0, 3, name.length]), name, Buffer.from([port >> 8, port & 0xff])])
  const reply = await exchange(socket, request, (bytes) => bytes.length >= 2 && (bytes[1] !== 0 || bytes.length >= 10))
  if (reply[1] !== 0) throw new Error(`SOCKS: ${reply[1]}`)
  return socket
}

/** The head's line with the name by which an HTTP proxy isolates. */
export function authorization(way: Way): string {
  const user = userOf(way)
  return user === undefined ? '' : `Proxy-Authorization: Basic ${Buffer.from(`${user}:x`).toString('base64')}\r\n`
}

function userOf(way: Way): string | undefined {
  if (way.kind === 'fetch') return undefined
  return way.fresh ? `key-fresh${process.pid}x${++made}` : way.user
}

/** Writes, and resolves with what comes back once it is all there. */
function exchange(socket: Socket, bytes: Buffer, isAll: (bytes: Buffer) => boolean): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let seen: Buffer | undefined
    const over = () => {
      socket.off('data', onData).off('close', onClose).off('error', onError)
    }
    const onData = (chunk: Buffer) => {
      seen = seen === undefined ? chunk : Buffer.concat([seen, chunk])
      if (!isAll(seen)) return
      over()
      resolve(seen)
    }
    const onError = (error: Error) => {
      over()
      reject(error)
    }
    const onClose = () => onError(new Error('the proxy closed the connection'))
    socket.on('data', onData).on('close', onClose).on('error', onError)
    socket.write(bytes)
  })
}

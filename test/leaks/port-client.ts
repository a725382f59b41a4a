/** Clients of the proxy's ports that say byte by byte what they are told to. */
import { once } from 'node:events'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Gateway } from './gateway.ts'

const WITHIN_MS = 30_000

export interface Tunnel {
  /** The status of CONNECT, or SOCKS' reply. */
  readonly code: number
  /** Destroyed when there is no tunnel. */
  readonly socket: Socket
}

export interface Answer {
  readonly status: number
  /** The head as it came, line by line. */
  readonly head: readonly string[]
  readonly body: string
}

/** By CONNECT. `authority` as it is sent; `lines`: further header lines. */
export async function connectBy(
  { ports }: Gateway,
  authority: string,
  { user, lines = [] }: { readonly user?: string; readonly lines?: readonly string[] } = {},
): Promise<Tunnel> {
  const socket = await opened(ports.http)
  const head = [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`, ...credentials(user), ...lines, '', '']
  socket.write(head.join('\r\n'))
  const answer = (await until(socket, (bytes) => bytes.includes('\r\n\r\n'))).toString('latin1')
  const code = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])
  if (code !== 200) socket.destroy()
  return { code, socket }
}

/** By SOCKS5: an address as one, anything else as a name. */
export async function socksBy(
  { ports }: Gateway,
  host: string,
  port: number,
  { user, command = 1 }: { readonly user?: string; readonly command?: number } = {},
): Promise<Tunnel & { readonly address: Buffer }> {
  const socket = await opened(ports.socks)
  socket.write(Buffer.from([5, 1, user === undefined ? 0 : 2]))
  await until(socket, (bytes) => bytes.length >= 2)
  if (user !== undefined) {
    socket.write(Buffer.concat([Buffer.from([1, user.length]), Buffer.from(user), Buffer.from([1]), Buffer.from('x')]))
    const [, refused] = await until(socket, (bytes) => bytes.length >= 2)
    if (refused !== 0) throw new Error(`The user name "${user}" is refused`)
  }
  const portBytes = Buffer.from([port >> 8, port & 0xff])
  socket.write(Buffer.concat([Buffer.from([5, command, 0]), addressOf(host), portBytes]))
  const answer = await until(socket, (bytes) => bytes.length >= 10)
  const code = answer[1] ?? -1
  if (code !== 0) socket.destroy()
  return { code, socket, address: answer.subarray(4, 8) }
}

/** One request in absolute form. */
export async function forwardBy(
  { ports }: Gateway,
  url: string,
  {
    user,
    lines = [],
    method = 'GET',
    body = '',
  }: { user?: string; lines?: readonly string[]; method?: string; body?: string } = {},
): Promise<Answer> {
  const socket = await opened(ports.http)
  const { host } = new URL(url)
  const head = [
    `${method} ${url} HTTP/1.1`,
    `Host: ${host}`,
    ...credentials(user),
    ...lines,
    'Connection: close',
    '',
    body,
  ]
  socket.write(head.join('\r\n'))
  return parsed(await everything(socket))
}

/** One request over a tunnel, which ends with it. `lines`: the whole head but for its first line. */
export async function askOver(
  socket: Socket,
  host: string,
  path: string,
  lines: readonly string[] = [],
): Promise<Answer> {
  socket.write([`GET ${path} HTTP/1.1`, `Host: ${host}`, ...lines, 'Connection: close', '', ''].join('\r\n'))
  const answer = await everything(socket)
  socket.destroy()
  return parsed(answer)
}

/** The client's own TLS over a tunnel. */
export async function secured(socket: Socket, servername: string, ca: string): Promise<Socket> {
  const secure = connectTls({ socket, servername, ca })
  await once(secure, 'secureConnect')
  return secure
}

async function opened(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port })
  socket.setTimeout(WITHIN_MS, () => socket.destroy(new Error(`Nothing came for ${WITHIN_MS} ms`)))
  await once(socket, 'connect')
  // What goes wrong shows in what is read.
  socket.on('error', () => {})
  return socket
}

/** What came until the end, however that came about. */
async function everything(socket: Socket): Promise<Buffer> {
  return await until(socket, () => false)
}

/** All that has come when it is enough, or the end. */
async function until(socket: Socket, isEnough: (bytes: Buffer) => boolean): Promise<Buffer> {
  let bytes = Buffer.alloc(0)
  while (!isEnough(bytes)) {
    const chunk: Buffer | null = socket.read()
    if (chunk !== null) {
      bytes = Buffer.concat([bytes, chunk])
      continue
    }
    if (socket.readableEnded || socket.destroyed) break
    await change(socket)
  }
  return bytes
}

async function change(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const events = ['readable', 'end', 'close'] as const
  for (const event of events) socket.on(event, resolve)
  await promise
  for (const event of events) socket.off(event, resolve)
}

function credentials(user: string | undefined): string[] {
  return user === undefined ? [] : [`Proxy-Authorization: Basic ${Buffer.from(`${user}:x`).toString('base64')}`]
}

function addressOf(host: string): Buffer {
  if (isIP(host) === 4) return Buffer.from([1, ...host.split('.').map(Number)])
  const name = Buffer.from(host)
  return Buffer.concat([Buffer.from([3, name.length]), name])
}

function parsed(bytes: Buffer): Answer {
  const end = bytes.indexOf('\r\n\r\n')
  const head = bytes.subarray(0, end).toString('latin1').split('\r\n')
  return { status: Number(head[0]?.split(' ')[1]), head, body: bytes.subarray(end + 4).toString() }
}

/**
 * The SOCKS port of a Tor that is not there, and the targets behind it. What becomes of a stream stands in its target's name: `reply-f2…`
 * is refused with that reply, `silent…` never answered, `hangup…` cut off. All others connect; on port 443 the name says what is wrong
 * with their TLS, and any other speaks none.
 */
import { once } from 'node:events'
import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { gzipSync } from 'node:zlib'
import type { Certificate } from '../bad-inputs/certificates.ts'
import { wordFor } from './words.ts'

/** Where workers of a service under test show that they are well. */
export const CHECK_URL = 'http://check.secrets.test/api/ip'

const CONNECTED = Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
const BOMB = gzipSync(Buffer.alloc(12 * 1024 * 1024))

export type TargetCertificates = Readonly<Record<'good' | 'expired' | 'stranger', Certificate>>

export class ScriptedTor implements AsyncDisposable {
  /** As the configuration has it. */
  readonly address: string
  readonly #sockets: Set<Socket>
  readonly #close: () => Promise<void>

  static async start({ good, expired, stranger }: TargetCertificates): Promise<ScriptedTor> {
    const sockets = new Set<Socket>()
    const http = createHttpServer(answer)
    const byName: Readonly<Record<string, (socket: Socket) => void>> = {
      expired: overTls(http, expired),
      stranger: overTls(http, stranger),
      wrong: overTls(http, good),
      old: overTls(http, { ...good, minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' }),
      alpn: overTls(http, { ...good, ALPNProtocols: ['h2'] }),
      // A moment after it stands: what is said first comes right behind the request for the stream.
      lost: (socket) => void setTimeout(() => socket.resetAndDestroy(), 200),
    }
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => sockets.delete(socket))
      serve(socket, ({ host, port }) => {
        const [, target] = (port === 443 && Object.entries(byName).find(([name]) => host.startsWith(name))) || []
        if (target !== undefined) target(socket)
        else http.emit('connection', socket)
      }).catch(() => socket.destroy())
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new ScriptedTor(`127.0.0.1:${(server.address() as AddressInfo).port}`, sockets, async () => {
      server.close()
      http.closeAllConnections()
    })
  }

  private constructor(address: string, sockets: Set<Socket>, close: () => Promise<void>) {
    this.address = address
    this.#sockets = sockets
    this.#close = close
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await this.#close()
  }
}

function overTls(http: HttpServer, options: TlsOptions): (socket: Socket) => void {
  const server = createTlsServer(options, (secure) =>
    http.emit(
      'connection',
      secure.on('error', () => {}),
    ),
  )
  server.on('tlsClientError', () => {})
  return (socket) => void server.emit('connection', socket)
}

/** Shakes hands as a Tor does, then hands the socket on. */
async function serve(socket: Socket, connected: (target: { host: string; port: number }) => void): Promise<void> {
  const [, methods = 0] = await read(socket, 2)
  const offered = await read(socket, methods)
  const byPassword = offered.includes(2)
  socket.write(Buffer.from([5, byPassword ? 2 : 0]))
  if (byPassword) {
    const [, userLength = 0] = await read(socket, 2)
    await read(socket, userLength)
    const [passwordLength = 0] = await read(socket, 1)
    await read(socket, passwordLength)
    socket.write(Buffer.from([1, 0]))
  }
  const [, command, , type] = await read(socket, 4)
  const length = type === 1 ? 4 : type === 4 ? 16 : ((await read(socket, 1))[0] ?? 0)
  const host = (await read(socket, length)).toString('latin1')
  const port = (await read(socket, 2)).readUInt16BE()
  const [, reply] = /^reply-([0-9a-f]{2})/.exec(host) ?? []
  if (reply !== undefined) socket.end(Buffer.from([5, Number.parseInt(reply, 16), 0, 1, 0, 0, 0, 0, 0, 0]))
  else if (host.startsWith('hangup')) socket.destroy()
  else if (!host.startsWith('silent')) {
    socket.write(CONNECTED)
    if (command === 1) connected({ host, port })
    else socket.end()
  }
}

async function read(socket: Socket, count: number): Promise<Buffer> {
  for (;;) {
    const bytes: Buffer | null = count === 0 ? Buffer.alloc(0) : socket.read(count)
    if (bytes !== null) return bytes
    await once(socket, 'readable', { signal: AbortSignal.timeout(60_000) })
    if (socket.readableEnded) throw new Error('The client has gone')
  }
}

/** The pages of all targets. Whatever a target may fill has a word in it. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://target')
  request.resume().on('error', () => {})
  response.on('error', () => {})
  response.setHeader('X-Target', wordFor('responseheader'))
  response.setHeader('Set-Cookie', `sid=${wordFor('setcookie')}`)
  switch (pathname.split('/')[1]) {
    case 'api':
      response.end(JSON.stringify({ IsTor: true, IP: '198.51.100.7' }))
      break
    case 'to':
      response.writeHead(302, { Location: searchParams.get('url') ?? `/to/${wordFor('location')}` }).end()
      break
    case 'close':
      request.socket.destroy()
      break
    case 'garbage':
      request.socket.end(`${wordFor('garbage')}\r\n\r\n`)
      break
    case 'truncate':
      response.writeHead(200, { 'Content-Length': '1000' }).write(wordFor('truncated'))
      setImmediate(() => request.socket.destroy())
      break
    case 'bomb':
      response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(BOMB)
      break
    case 'badcoding':
      response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(wordFor('badcoding'))
      break
    case 'busy':
      response.writeHead(503, { 'Retry-After': '60' }).end(wordFor('busy'))
      break
    case 'slow':
      response.write(wordFor('slow'))
      break
    default:
      response.end(`<title>${wordFor('responsebody')}</title>`.padEnd(Number(searchParams.get('bytes') ?? 0), '.'))
  }
}

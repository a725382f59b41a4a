/** Targets that misbehave, behind fake workers. */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { brotliCompressSync, constants, gzipSync, zstdCompressSync } from 'node:zlib'
import type { FakeTargets } from '../../src/workers/fake/fake-driver.ts'
import type { Certificates } from './certificates.ts'

/** Of the service's own checks. */
export const CHECK = 'check.test'
export const ONION = 'duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion'

const MIB = 1024 * 1024

/** By path: what the answer's `Location` is. */
const REDIRECTS: Readonly<Record<string, string>> = {
  '/loop': '/loop',
  '/to-file': 'file:///etc/passwd',
  '/to-loopback': 'http://127.0.0.1/',
  '/to-lan': 'http://192.168.1.1/',
  '/to-port': 'http://ok.test:25/',
  '/to-clearnet': 'http://ok.test/',
}

export interface Targets extends Disposable {
  readonly targets: FakeTargets
  /** Their ends of the connections that are open. */
  readonly sockets: ReadonlySet<Socket>
}

export function targetsWith({ good, expired, stranger }: Certificates): Targets {
  const sockets = new Set<Socket>()
  const bombs = lazily(() => {
    const zeros = Buffer.alloc(64 * MIB)
    return {
      gzip: gzipSync(zeros),
      br: brotliCompressSync(zeros, { params: { [constants.BROTLI_PARAM_QUALITY]: 3 } }),
      zstd: zstdCompressSync(zeros),
    }
  })
  const http = httpTarget((request, response) => {
    const path = request.url ?? ''
    const location = REDIRECTS[path] ?? hop(path)
    if (location !== undefined) return void response.writeHead(302, { location }).end()
    const [, coding = ''] = /^\/bomb\/(\w+)$/.exec(path) ?? []
    if (coding !== '') {
      return void response.writeHead(200, { 'content-encoding': coding }).end(bombs()[coding as 'gzip'])
    }
    switch (path) {
      case '/nested':
        return void response
          .writeHead(200, { 'content-encoding': 'gzip, gzip, gzip, gzip, gzip' })
          .end(times(5, (inner) => gzipSync(inner), Buffer.from('x')))
      case '/not-gzip':
        return void response.writeHead(200, { 'content-encoding': 'gzip' }).end('this is no gzip')
      case '/no-such-coding':
        return void response.writeHead(200, { 'content-encoding': 'rot13' }).end('guvf vf ab pbqvat')
      case '/large':
        return void response.end(Buffer.alloc(10 * MIB + 1))
      case '/vast':
        return void response.writeHead(200, { 'content-length': '1000000000000000' }).write('x')
      case '/endless':
        return pour(response)
      case '/slow':
        return void response.writeHead(200, { 'content-length': '1000' }).write('x')
      case '/never':
        return
      default:
        response.end('ok')
    }
  })
  const tls = (options: TlsOptions) => {
    const server = createTlsServer(options, (socket) => socket.on('error', () => {}).end('HTTP/1.1 200 OK\r\n\r\n'))
    server.on('tlsClientError', () => {})
    return (socket: Socket) => void server.emit('connection', socket)
  }
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
  const targets: Record<string, (socket: Socket) => void> = {
    [`${CHECK}:80`]: http,
    'ok.test:80': http,
    'ok.test:443': echo,
    [`${ONION}:80`]: http,
    'good.test:443': tls(good),
    'expired.test:443': tls(expired),
    'stranger.test:443': tls(stranger),
    'wrong.test:443': tls(good),
    'old.test:443': tls({ ...good, ...old }),
    'plain.test:443': http,
    'reset.test:443': (socket) => void socket.once('data', () => socket.destroy()),
  }
  const remembering = Object.entries(targets).map(([name, answer]) => {
    const remember = (socket: Socket) => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      answer(socket)
    }
    return [name, remember] as const
  })
  return {
    targets: new Map(remembering),
    sockets,
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy()
    },
  }
}

function httpTarget(listener: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createHttpServer(listener)
  return (socket: Socket) => void server.emit('connection', socket)
}

function echo(socket: Socket): void {
  socket.on('error', () => {}).pipe(socket)
}

/** `/hop/3` leads to `/hop/2`, and so on; `/hop/0` is answered. */
function hop(path: string): string | undefined {
  const [, left] = /^\/hop\/(\d+)$/.exec(path) ?? []
  return left === undefined || left === '0' ? undefined : `/hop/${Number(left) - 1}`
}

/** A body without an end, as fast as it is taken. */
function pour(response: ServerResponse): void {
  const chunk = Buffer.alloc(64 * 1024)
  const more = () => {
    while (!response.destroyed && response.write(chunk));
  }
  response.on('drain', more)
  more()
}

function times<T>(count: number, change: (value: T) => T, value: T): T {
  return count === 0 ? value : times(count - 1, change, change(value))
}

function lazily<T>(make: () => T): () => T {
  let made: T | undefined
  return () => {
    made ??= make()
    return made
  }
}

/**
 * The site that is asked, as cheap as it can be: a process of its own, in the network's namespace. Says `ready` when it listens.
 *
 *   node bench/site/main.ts HOST PORT [SOCKS PORT]
 *
 * With a third argument a SOCKS5 port, too, that takes everybody anywhere, and always to this site: what a gateway can do by itself.
 */
import { createServer, type Socket } from 'node:net'

const [host = '127.0.0.1', port = '0', socksPort] = process.argv.slice(2)
const MB = 1_000_000
const piece = Buffer.alloc(256 * 1024, 'x')
const small = answer(Buffer.alloc(1_000, 'x'))
const pages = new Map<string, Buffer>([
  ['/small', small],
  ['/100k', answer(Buffer.alloc(100_000, 'x'))],
  // As check.torproject.org answers: a gateway may want to see that its workers work.
  ['/api/ip', answer(Buffer.from('{"IsTor":true,"IP":"203.0.113.21"}'), 'application/json')],
])

await listen(createServer(serve), Number(port), host)
if (socksPort !== undefined) await listen(createServer(welcome), Number(socksPort), '127.0.0.1')
process.stdout.write('ready\n')
process.stdin.on('end', () => process.exit()).resume()

function serve(socket: Socket): void {
  socket.setNoDelay()
  socket.on('error', () => {})
  let seen = ''
  socket.on('data', (chunk: Buffer) => {
    seen += chunk.toString('latin1')
    for (let end = seen.indexOf('\r\n\r\n'); end >= 0; end = seen.indexOf('\r\n\r\n')) {
      const head = seen.slice(0, end)
      seen = seen.slice(end + 4)
      const path = head.slice(4, head.indexOf(' ', 4))
      const isLast = /\r\nconnection: *close/i.test(head)
      const large = /^\/(\d+)mb$/.exec(path)?.[1]
      if (large === undefined) {
        socket.write(pages.get(path) ?? small)
        if (isLast) socket.end()
      } else stream(socket, Number(large) * MB, isLast)
    }
  })
}

function stream(socket: Socket, bytes: number, isLast: boolean): void {
  socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: ${bytes}\r\n\r\n`)
  let left = bytes
  const more = () => {
    while (left > 0) {
      const part = left >= piece.length ? piece : piece.subarray(0, left)
      left -= part.length
      if (!socket.write(part)) return
    }
    socket.off('drain', more)
    if (isLast) socket.end()
  }
  socket.on('drain', more)
  more()
}

/** SOCKS5 as far as the gateways speak it: without a name or with one, CONNECT alone. */
function welcome(socket: Socket): void {
  socket.setNoDelay()
  socket.on('error', () => {})
  let held: Buffer = Buffer.alloc(0)
  let step: 'greeting' | 'name' | 'request' = 'greeting'
  const onData = (chunk: Buffer) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    for (;;) {
      if (step === 'greeting') {
        const [, methods = 0] = held
        if (held.length < 2 || held.length < 2 + methods) return
        const wantsName = held.subarray(2, 2 + methods).includes(2)
        held = held.subarray(2 + methods)
        step = wantsName ? 'name' : 'request'
        socket.write(Buffer.from([5, wantsName ? 2 : 0]))
      } else if (step === 'name') {
        const user = held[1] ?? 0
        if (held.length < 2 + user + 1) return
        const length = 2 + user + 1 + (held[2 + user] ?? 0)
        if (held.length < length) return
        held = held.subarray(length)
        step = 'request'
        socket.write(Buffer.from([1, 0]))
      } else {
        if (held.length < 5) return
        const length = held[3] === 1 ? 10 : held[3] === 4 ? 22 : 7 + (held[4] ?? 0)
        if (held.length < length) return
        const early = held.subarray(length)
        socket.off('data', onData)
        serve(socket)
        socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
        if (early.length > 0) socket.emit('data', early)
        return
      }
    }
  }
  socket.on('data', onData)
}

function answer(body: Buffer, type = 'text/plain'): Buffer {
  return Buffer.concat([
    Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n`),
    body,
  ])
}

function listen(server: ReturnType<typeof createServer>, at: number, on: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen({ port: at, host: on, backlog: 4_096 }, resolve)
  })
}

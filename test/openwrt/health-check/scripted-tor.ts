import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { TorPlan } from './protocol.ts'

const SOCKS_PORT = 9050
const CONTROL_PORT = 9051
const COOKIE = 'c0ffee'.padEnd(64, '0')

/** What init asks of a Tor. */
export interface InitTor {
  readonly pid: number | undefined
  start(): Promise<void>
  /** Resolves when the process is gone. */
  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

/** A Tor that does what it is told to: the ports of one, and a process of its name. */
export class ScriptedTor implements InitTor {
  plan: TorPlan = { tests: ['answers'], control: 'obeys', starts: true, enabled: true }
  readonly #onEvent: (event: string) => void
  #process: ChildProcess | undefined
  #servers: Server[] = []
  readonly #sockets = new Set<Socket>()
  #tests = 0

  constructor(onEvent: (event: string) => void) {
    this.#onEvent = onEvent
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  follow(plan: TorPlan): void {
    this.plan = plan
    this.#tests = 0
  }

  async start(): Promise<void> {
    if (this.#process || !this.plan.starts) return
    const child = spawn('sleep', ['infinity'], { argv0: 'tor', stdio: 'ignore' })
    await once(child, 'spawn')
    this.#process = child
    this.#servers = [this.#listen(SOCKS_PORT, (socket) => this.#socks(socket))]
    this.#servers.push(this.#listen(CONTROL_PORT, (socket) => this.#control(socket)))
    await Promise.all(this.#servers.map((server) => once(server, 'listening')))
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#process
    if (!child) return
    this.#process = undefined
    const closed = this.#servers.map((server) => new Promise((resolve) => server.close(resolve)))
    for (const socket of this.#sockets) socket.destroy()
    child.kill(signal)
    await Promise.all([...closed, once(child, 'exit')])
  }

  #listen(port: number, onSocket: (socket: Socket) => void): Server {
    const server = createServer((socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => this.#sockets.delete(socket))
      onSocket(socket)
    })
    return server.listen(port, '127.0.0.1')
  }

  /** As Tor, drops a client that closes its sending side (`allowHalfOpen` is off). */
  #socks(socket: Socket): void {
    let request = Buffer.alloc(0)
    let isSocks5 = false
    socket.on('data', (bytes) => {
      request = Buffer.concat([request, bytes])
      if (request[0] === 5 && !isSocks5 && request.length >= 3) {
        isSocks5 = true
        request = request.subarray(2 + (request[1] ?? 0))
        socket.write(Buffer.from([5, 0]))
      }
      const isConnect = isSocks5 ? request.length >= 5 && request[0] === 5 : request.includes('\r\n\r\n')
      if (!isConnect) return
      socket.removeAllListeners('data')
      this.#answer(socket, isSocks5)
    })
  }

  #answer(socket: Socket, isSocks5: boolean): void {
    const { tests } = this.plan
    const outcome = tests[Math.min(this.#tests++, tests.length - 1)] ?? 'silent'
    this.#onEvent(`test ${outcome}`)
    const granted = isSocks5 ? [5, 0, 0, 1, 0, 0, 0, 0, 0, 0] : [0, 90, 0, 0, 0, 0, 0, 0]
    const refused = isSocks5 ? [5, 4, 0, 1, 0, 0, 0, 0, 0, 0] : [0, 91, 0, 0, 0, 0, 0, 0]
    switch (outcome) {
      case 'answers':
        socket.write(Buffer.from(granted))
        // A site that does not hang up: who has the header has what it needs.
        if (isSocks5) socket.once('data', () => socket.write('HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n'))
        else socket.write('HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n')
        return
      case 'garbage':
        socket.write(Buffer.from(granted))
        socket.end('\u0001\u0002 what is this\n')
        return
      case 'refuses':
        socket.end(Buffer.from(refused))
        return
      case 'closes':
        socket.destroy()
        return
      case 'silent':
    }
  }

  #control(socket: Socket): void {
    if (this.plan.control === 'silent') return
    let text = ''
    socket.setEncoding('latin1').on('data', (more: string) => {
      text += more
      for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
        const line = text.slice(0, end)
        text = text.slice(end + 2)
        if (line.startsWith('AUTHENTICATE')) {
          const isRight = this.plan.control === 'obeys' && line === `AUTHENTICATE ${COOKIE}`
          if (!isRight) return void socket.end('515 Authentication failed: Wrong length on authentication cookie.\r\n')
          socket.write('250 OK\r\n')
        } else if (line === 'SIGNAL NEWNYM') {
          this.#onEvent('newnym')
          socket.write('250 OK\r\n')
        } else if (line === 'QUIT') {
          socket.end('250 closing connection\r\n')
        } else {
          socket.end(`510 Unrecognized command "${line}"\r\n`)
        }
      }
    })
  }
}

export const SCRIPTED_COOKIE = Buffer.from(COOKIE, 'hex')

import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'

/** Greeting, authentication and request of SOCKS5, as the SOCKS client of this program sends them. */
const GREETING_BYTES = 3
const RESOLVE_PTR = 0xf1

/** The two ports of somebody else's Tor, for tests: just so much of both protocols as it takes to turn to it. */
export class FakeExternalTor implements AsyncDisposable {
  readonly password = 'open sesame'
  /** The control commands that came, without their arguments. */
  readonly commands: string[] = []
  controlConnections = 0
  progress = 100
  conflux = '0'
  /** What it isolates its SOCKS port by. */
  isoFields = 'SOCKS_USERNAME,SOCKS_PASSWORD,SESSION_GROUP,NYM_EPOCH'
  /** Whether its control port tells of streams on its SOCKS port. */
  isOneTor = true
  /** Whether its control port tells of new streams only when `tellHeld` is called. */
  isLate = false
  readonly #held: string[] = []
  /** Takes connections and says nothing. */
  isControlSilent = false
  isSocksSilent = false
  readonly #control = new FakePort((socket) => this.#serveControl(socket))
  readonly #socks = new FakePort((socket) => this.#serveSocks(socket))

  static async start(): Promise<FakeExternalTor> {
    const tor = new FakeExternalTor()
    await tor.#control.open()
    await tor.#socks.open()
    return tor
  }

  get socksAt() {
    return this.#socks.address
  }

  get controlAt() {
    return this.#control.address
  }

  /** How many connections there are to both of its ports. */
  get connections(): number {
    return this.#control.sockets.size + this.#socks.sockets.size
  }

  /** Tells its controllers of events. */
  tell(...lines: string[]): void {
    for (const socket of this.#control.sockets) for (const line of lines) socket.write(`650 ${line}\r\n`)
  }

  tellHeld(): void {
    this.tell(...this.#held.splice(0))
  }

  bootstrap(progress: number): void {
    this.progress = progress
    this.tell(`STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=${progress} TAG=t SUMMARY="At ${progress}"`)
  }

  async closeControl(): Promise<void> {
    await this.#control.close()
  }

  async openControl(): Promise<void> {
    await this.#control.open()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#control.close()
    await this.#socks.close()
  }

  #serveControl(socket: Socket): void {
    this.controlConnections++
    let partial = ''
    socket.on('data', (chunk: Buffer) => {
      const lines = (partial + chunk.toString('latin1')).split('\r\n')
      partial = lines.pop() ?? ''
      for (const line of lines) {
        this.commands.push(line.split(' ', 1)[0] ?? '')
        if (!this.isControlSilent) socket.write(this.#answer(line))
      }
    })
  }

  #answer(line: string): string {
    const phase = `NOTICE BOOTSTRAP PROGRESS=${this.progress} TAG=t SUMMARY="At ${this.progress}"`
    const answers: Record<string, string> = {
      'PROTOCOLINFO 1': '250-AUTH METHODS=HASHEDPASSWORD\r\n250-VERSION Tor="0.4.9.11"\r\n250 OK',
      'GETINFO events/names': '250-events/names=CIRC STREAM SIGNAL STATUS_CLIENT STATUS_GENERAL\r\n250 OK',
      'GETINFO circuit-status': '250-circuit-status=\r\n250 OK',
      'GETINFO version': '250-version=0.4.9.11\r\n250 OK',
      'GETINFO status/bootstrap-phase': `250-status/bootstrap-phase=${phase}\r\n250 OK`,
      'GETCONF ConfluxEnabled': `250 ConfluxEnabled=${this.conflux}`,
    }
    const isWrong = line.startsWith('AUTHENTICATE') && !line.endsWith(Buffer.from(this.password).toString('hex'))
    return `${isWrong ? '515 Authentication failed' : (answers[line] ?? '250 OK')}\r\n`
  }

  /** By name, as this program asks for most targets. */
  #newStream(user: string, request: Buffer): void {
    const name = request.subarray(5, -2).toString()
    const target = `${name}:${request.readUInt16BE(request.length - 2)}`
    const whose = `SOCKS_USERNAME="${user}" PURPOSE=USER CLIENT_PROTOCOL=SOCKS5 ISO_FIELDS=${this.isoFields}`
    this.#held.push(`STREAM 6 NEW 0 ${target} ${whose}`)
    if (!this.isLate) this.tellHeld()
  }

  /** Takes any user name; refuses what leads nowhere as Tor does, and connects to everything else. */
  #serveSocks(socket: Socket): void {
    let received = Buffer.alloc(0)
    let user = ''
    const parts = [
      () => (received.length < GREETING_BYTES ? undefined : take(GREETING_BYTES, Buffer.from([5, 2]))),
      () => {
        const nameBytes = received[1] ?? 256
        const passwordBytes = received[2 + nameBytes] ?? 256
        if (received.length < 3 + nameBytes + passwordBytes) return undefined
        user = received.subarray(2, 2 + nameBytes).toString()
        return take(3 + nameBytes + passwordBytes, Buffer.from([1, 0]))
      },
      () => {
        if (received.length < 10) return undefined
        const isProof = received[1] === RESOLVE_PTR
        if (isProof && this.isOneTor)
          this.tell(`STREAM 5 NEWRESOLVE 0 127.0.0.1:0 SOCKS_USERNAME="${user}" ISO_FIELDS=${this.isoFields}`)
        if (!isProof) this.#newStream(user, received)
        return take(received.length, Buffer.from([5, isProof ? 4 : 0, 0, 1, 0, 0, 0, 0, 0, 0]))
      },
    ]
    const take = (count: number, reply: Buffer) => {
      received = received.subarray(count)
      return reply
    }
    socket.on('data', (chunk: Buffer) => {
      if (this.isSocksSilent) return
      received = Buffer.concat([received, chunk])
      for (let reply = parts[0]?.(); reply !== undefined; reply = parts[0]?.()) {
        socket.write(reply)
        parts.shift()
      }
    })
  }
}

/** A TCP port that can be closed and opened again. */
class FakePort {
  address = { host: '127.0.0.1', port: 0 }
  readonly sockets = new Set<Socket>()
  readonly #serve: (socket: Socket) => void
  #server: Server | undefined

  constructor(serve: (socket: Socket) => void) {
    this.#serve = serve
  }

  async open(): Promise<void> {
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => this.sockets.delete(socket))
      this.#serve(socket)
    })
    this.#server.listen(this.address.port, this.address.host)
    await once(this.#server, 'listening')
    this.address = { ...this.address, port: (this.#server.address() as AddressInfo).port }
  }

  /** Hangs up on all. */
  async close(): Promise<void> {
    const closed = this.#server?.listening && once(this.#server, 'close')
    this.#server?.close()
    for (const socket of this.sockets) socket.destroy()
    await closed
  }
}

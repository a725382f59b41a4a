import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { ANYBODY, type Caller } from '../domain/caller.ts'
import { CbtorError } from '../domain/errors.ts'
import type { TunnelRequest } from '../domain/exchange.ts'
import { onAbort } from '../lib/abort.ts'
import type {
  ForwardAnswer,
  ForwardRequest,
  ProxyBackend,
  ProxyTunnel,
  ResolveRequest,
  TunnelOutcome,
} from './backend.ts'

export type BackendCall =
  | { readonly type: 'tunnel'; readonly request: TunnelRequest; readonly early: string }
  | { readonly type: 'resolve'; readonly request: ResolveRequest }
  | { readonly type: 'forward'; readonly request: ForwardRequest }

/** A service without workers: its tunnels lead to sockets of the test's. */
export class FakeBackend implements ProxyBackend, AsyncDisposable {
  password: string | undefined
  /** Whom the password stands for. */
  caller: Caller = ANYBODY
  /** Those who wait for the caller's key to go. */
  readonly onRevoked = new Set<() => void>()
  readonly calls: BackendCall[] = []
  readonly aborted: unknown[] = []
  readonly outcomes: TunnelOutcome[] = []
  /** Tunnels that are not disposed. */
  open = 0
  /** What opening a tunnel or resolving waits for, and fails by. */
  ready: (signal: AbortSignal) => Promise<void> = async () => {}
  answer: (request: ForwardRequest, signal: AbortSignal) => Promise<ForwardAnswer> = async () => okAnswer('hello')
  /** Takes the target's end of a tunnel, instead of `target()`. */
  onTarget: ((socket: Socket) => void) | undefined
  readonly #server = createServer({ allowHalfOpen: true, noDelay: true })
  readonly #targets: Socket[] = []
  readonly #sockets = new Set<Socket>()
  #wake: (() => void) | undefined

  constructor() {
    this.#server.on('connection', (socket) => {
      socket.on('error', () => {})
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      if (this.onTarget) {
        this.onTarget(socket)
        return
      }
      this.#targets.push(socket)
      this.#wake?.()
    })
    this.#server.listen(0, '127.0.0.1')
  }

  get requiresPassword(): boolean {
    return this.password !== undefined
  }

  authenticate(password: string | undefined): Caller | undefined {
    return this.password === undefined || password === this.password ? this.caller : undefined
  }

  onGone(_caller: Caller, listener: () => void): Disposable {
    this.onRevoked.add(listener)
    return { [Symbol.dispose]: () => void this.onRevoked.delete(listener) }
  }

  /** The key of everybody is of no use any more. */
  revoke(): void {
    this.password = 'another'
    for (const listener of [...this.onRevoked]) listener()
  }

  workerIdOf(ref: string): string | undefined {
    return ['tor01', 'tor02', 'berlin-2'].find((id, index) => id === ref || String(index + 1) === ref)
  }

  async openTunnel(
    request: TunnelRequest,
    { earlyData }: { readonly earlyData?: Uint8Array },
    signal: AbortSignal,
  ): Promise<ProxyTunnel> {
    this.calls.push({ type: 'tunnel', request, early: Buffer.from(earlyData ?? []).toString('latin1') })
    using _ = onAbort(signal, (reason) => this.aborted.push(reason))
    if (!this.#server.listening) await once(this.#server, 'listening')
    await this.ready(signal)
    signal.throwIfAborted()
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('Cannot make a tunnel: the fake is closed')
    const socket = connect(address.port, '127.0.0.1').setNoDelay()
    socket.on('error', () => {})
    await once(socket, 'connect')
    if (earlyData) socket.write(earlyData)
    this.open++
    let isOpen = true
    return {
      socket,
      worker: 'tor01',
      exit: async () => undefined,
      lost: async () => false,
      ended: (outcome) => void this.outcomes.push(outcome),
      [Symbol.dispose]: () => {
        if (isOpen) this.open--
        isOpen = false
        socket.destroy()
      },
    }
  }

  async resolve(request: ResolveRequest, signal: AbortSignal): Promise<string> {
    this.calls.push({ type: 'resolve', request })
    using _ = onAbort(signal, (reason) => this.aborted.push(reason))
    await this.ready(signal)
    return request.host === 'six.example' ? '2001:db8::6' : '203.0.113.9'
  }

  async forward(request: ForwardRequest, signal: AbortSignal): Promise<ForwardAnswer> {
    this.calls.push({ type: 'forward', request })
    onAbort(signal, (reason) => this.aborted.push(reason))
    await this.ready(signal)
    return await this.answer(request, signal)
  }

  /** The target's end of the next tunnel. */
  async target(): Promise<Socket> {
    while (this.#targets.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#targets.shift() as Socket
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

/** Never settles by itself. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => onAbort(signal, reject))
}

export function okAnswer(body: string | Readable, headers: ForwardAnswer['headers'] = []): ForwardAnswer {
  const length = typeof body === 'string' ? [['Content-Length', String(Buffer.byteLength(body))] as const] : []
  return {
    status: 200,
    statusText: 'OK',
    headers: [...length, ...headers],
    body: typeof body === 'string' ? Readable.from([Buffer.from(body)]) : body,
    worker: 'tor01',
    ended() {},
  }
}

export function failure(code: CbtorError['code']): () => Promise<never> {
  return async () => {
    throw new CbtorError(code, `Cannot reach the target: ${code}`)
  }
}

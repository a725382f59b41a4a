import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { CbtorError } from '../../domain/errors.ts'
import type { Identity } from '../../domain/identity.ts'
import { type Exit, isOnionHost, type Target } from '../../domain/worker.ts'
import type { DriverEvent, WorkerConnection, WorkerDriver, WorkerObservation } from '../driver.ts'

/** What answers at the far end of a fake worker, by `host:port`. It gets the target's side of the connection. */
export type FakeTargets = ReadonlyMap<string, (socket: Socket) => void>

export interface FakeDriverOptions {
  readonly id: string
  /** A host that is named here with another port refuses the connection; one that is not does not resolve. */
  readonly targets: FakeTargets
  readonly exits: readonly Exit[]
}

/** A worker without Tor, for unit tests. Keeps the driver's promise: it passes the same contract suite as the real ones. */
export class FakeDriver implements WorkerDriver {
  readonly id: string
  readonly kind = 'fake'
  readonly #targets: FakeTargets
  readonly #exits: readonly Exit[]
  readonly #sockets = new Set<Socket>()
  readonly #listeners = new Set<(event: DriverEvent) => void>()
  /** Both ends of every connection are here: an abstract unix socket, so nothing is left on disk. */
  readonly #server: Server = createServer({ allowHalfOpen: true })
  readonly #path = `\0cbtor-fake-${randomUUID()}`
  /** Connections are made one at a time, so that each knows its other end. */
  #connecting: Promise<unknown> = Promise.resolve()
  #state: WorkerObservation['process'] = 'stopped'
  #problem: string | undefined
  #failNextWith: CbtorError | undefined

  constructor(options: FakeDriverOptions) {
    this.id = options.id
    this.#targets = options.targets
    this.#exits = options.exits
  }

  observe(): WorkerObservation {
    const isUp = this.#state === 'running'
    return {
      process: this.#state,
      pid: undefined,
      bootstrap: { progress: isUp ? 100 : 0, tag: isUp ? 'done' : 'starting', summary: isUp ? 'Done' : 'Starting' },
      torVersion: undefined,
      startedAt: undefined,
      problem: this.#problem,
    }
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#state === 'running') return
    if (!this.#server.listening) await once(this.#server.listen(this.#path), 'listening')
    this.#state = 'running'
    this.#problem = undefined
    this.#tell({ type: 'progressed', progress: 100 })
  }

  async stop(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#end('stopped')
  }

  async connect(target: Target, identity: Identity, signal: AbortSignal): Promise<WorkerConnection> {
    signal.throwIfAborted()
    if (this.#state !== 'running') {
      throw new CbtorError('worker_unreachable', `Cannot connect through worker ${this.id}: it is not running`)
    }
    const failure = this.#failNextWith
    this.#failNextWith = undefined
    if (failure) throw failure
    const answer = this.#targets.get(`${target.host}:${target.port}`)
    if (answer === undefined) {
      const isKnown = [...this.#targets.keys()].some((name) => name.startsWith(`${target.host}:`))
      throw isKnown
        ? new CbtorError('connection_refused', 'Cannot connect to the target: it refused the connection')
        : new CbtorError('resolve_failed', 'Cannot connect to the target: its name does not resolve')
    }
    const joined = this.#connecting.then(() => this.#join())
    this.#connecting = joined
    const [near, far] = await joined
    answer(far)
    const exit = isOnionHost(target.host) ? undefined : this.#exitOf(identity)
    return { socket: near, route: 'socks', exit: async () => exit }
  }

  onEvent(listener: (event: DriverEvent) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  /** Makes the next `connect` fail with `error`. */
  failNextWith(error: CbtorError): void {
    this.#failNextWith = error
  }

  /** Ends the worker as a crash would. */
  kill(reason = 'tor was killed'): void {
    if (this.#state !== 'running') return
    this.#problem = reason
    this.#end('exited')
    this.#tell({ type: 'lost', reason })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end('stopped')
    this.#listeners.clear()
    if (this.#server.listening) await once(this.#server.close(), 'close')
  }

  #end(state: 'stopped' | 'exited'): void {
    this.#state = state
    for (const socket of this.#sockets) socket.destroy()
  }

  async #join(): Promise<[near: Socket, far: Socket]> {
    const near = connect({ path: this.#path, allowHalfOpen: true })
    const [[far]] = (await Promise.all([once(this.#server, 'connection'), once(near, 'connect')])) as [
      [Socket],
      unknown,
    ]
    for (const socket of [near, far]) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => this.#sockets.delete(socket))
    }
    return [near, far]
  }

  #tell(event: DriverEvent): void {
    for (const listener of [...this.#listeners]) listener(event)
  }

  /** One identity always leaves by one exit, as one circuit does. */
  #exitOf(identity: Identity): Exit | undefined {
    const hash = createHash('sha256').update(this.id).update(identity.token).digest()
    return this.#exits[hash.readUInt32BE() % this.#exits.length]
  }
}

import type { Socket } from 'node:net'
import { eachLine, fromJson, toLine } from '../../cluster/worker-port/lines.ts'
import { CbtorError } from '../../domain/errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { WorkerConnection } from '../driver.ts'
import {
  BEAT_MS,
  MAX_FIRST_LINE,
  type OfOwner,
  type Order,
  ofWatcher,
  type PeerState,
  problemOf,
  SILENT_MS,
} from './messages.ts'
import type { OfferedWorker, WorkerOrders } from './offered-worker.ts'

/** Orders of one watcher at the same time. */
const MAX_ORDERS = 64
/** One that does not read what it is told is as good as gone. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024
/** As long as Tor may need to tell by which exit a stream leaves. */
const KNOWN_WITHIN_MS = 5_000

export interface WatchedWorkerOptions {
  readonly worker: OfferedWorker
  /** Its `watch` has been answered. */
  readonly socket: Socket
  readonly clock: Clock
  readonly orders: WorkerOrders | undefined
  /** Told once, when nothing more will be said or heard. */
  readonly onEnd: (reason: string) => void
}

/** One worker of ours as one other replica watches it: what is told of it, and what that replica's orders do. Its streams end with it. */
export class WatchedWorker implements Disposable {
  readonly worker: OfferedWorker
  readonly #options: WatchedWorkerOptions
  readonly #orders = new Map<number, AbortController>()
  readonly #streams = new Map<number, Socket>()
  readonly #listening: Disposable
  #beat: Disposable | undefined
  #heardAt: number
  #told = ''
  #isOver = false

  constructor(options: WatchedWorkerOptions) {
    const { worker, socket, clock } = options
    this.worker = worker
    this.#options = options
    this.#heardAt = clock.monotonic()
    this.#listening = worker.onEvent((event) => {
      // What boxes tell is of no worker that is offered.
      if (event.type === 'untrusted' || event.type === 'trusted' || event.type === 'ailing') return
      this.#say({ t: 'event', event })
      this.#sayState()
    })
    eachLine(
      socket,
      MAX_FIRST_LINE,
      (line) => this.#hear(line),
      (reason) => this.#end(reason),
    )
    this.#told = unaged(stateOf(worker, clock))
    this.#next()
  }

  /** Streams that are open for it, or are to be. */
  get streams(): number {
    return this.#streams.size
  }

  /** A stream that is to be: it ends with this, if not before. False when there is one of this number. */
  begin(stream: number, socket: Socket): boolean {
    if (this.#streams.has(stream)) return false
    this.#streams.set(stream, socket)
    socket.once('close', () => this.#streams.delete(stream))
    return true
  }

  /** Tells of the exit and the path of the stream when they are known. */
  tellOf(stream: number, connection: WorkerConnection): void {
    void connection.exit(KNOWN_WITHIN_MS).then((exit) => this.#say({ t: 'exit', stream, ...(exit && { exit }) }))
    void connection.path?.(KNOWN_WITHIN_MS).then((path) => this.#say({ t: 'path', stream, ...(path && { path }) }))
  }

  [Symbol.dispose](): void {
    this.#end('it is not offered any more')
  }

  #end(reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#listening[Symbol.dispose]()
    this.#beat?.[Symbol.dispose]()
    const { socket, onEnd } = this.#options
    socket.destroy()
    for (const stream of this.#streams.values()) stream.destroy()
    for (const order of this.#orders.values()) order.abort(new Error(`The replica that asked is gone: ${reason}`))
    onEnd(reason)
  }

  #next(): void {
    const { clock } = this.#options
    this.#beat = clock.timer(BEAT_MS, () => {
      if (clock.monotonic() - this.#heardAt >= SILENT_MS) return this.#end('it has been silent')
      if (!this.#sayState()) this.#say({ t: 'beat' })
      if (!this.#isOver) this.#next()
    })
  }

  #sayState(): boolean {
    const state = stateOf(this.worker, this.#options.clock)
    const what = unaged(state)
    if (what === this.#told) return false
    this.#told = what
    this.#say({ t: 'state', state })
    return true
  }

  #say(message: OfOwner): void {
    const { socket } = this.#options
    if (this.#isOver || !socket.writable) return
    socket.write(toLine(message))
    if (socket.writableLength > MAX_UNREAD_BYTES) this.#end('it does not read what it is told')
  }

  #hear(line: string): void {
    this.#heardAt = this.#options.clock.monotonic()
    const { success, data } = ofWatcher.safeParse(fromJson(line))
    // Of a newer version, or nonsense: an order that it has is never answered, and runs into its limit.
    if (!success) return
    switch (data.t) {
      case 'beat':
        return
      case 'forget':
        this.worker.forget(data.identity)
        return
      case 'left':
        this.#streams.get(data.stream)?.destroy()
        return
      case 'cancel':
        this.#orders.get(data.id)?.abort(new Error('The replica that asked does not want it any more'))
        return
      case 'ask':
        void this.#answer(data.id, data.order)
        return
    }
  }

  async #answer(id: number, order: Order): Promise<void> {
    const control = new AbortController()
    try {
      if (this.#orders.size >= MAX_ORDERS)
        throw new CbtorError('overloaded', 'Cannot do so much for one replica at once')
      this.#orders.set(id, control)
      this.#say({ t: 'answer', id, value: await this.#carryOut(order, control.signal) })
    } catch (error) {
      this.#say({ t: 'failed', id, ...problemOf(error) })
    } finally {
      if (this.#orders.get(id) === control) this.#orders.delete(id)
    }
  }

  async #carryOut(order: Order, signal: AbortSignal): Promise<unknown> {
    const { worker } = this
    const { clock } = this.#options
    switch (order.op) {
      case 'pulse':
        await worker.pulse(signal)
        return null
      case 'new-circuits': {
        const { actedAt, exitsBefore, exitsAfter } = await worker.newCircuits(signal)
        const now = clock.now()
        return { actedAgoMs: now - actedAt, actInMs: worker.newCircuitsActAt() - now, exitsBefore, exitsAfter }
      }
      case 'inspect':
        return await worker.inspect(signal)
      case 'warm-up':
        await worker.warmUp(signal)
        return null
      case 'resolve':
        return { address: await worker.resolve(order.host, order.identity, signal) }
      case 'restart':
        await this.#ordersFor(worker.id).restart(worker.id, signal)
        return null
    }
  }

  #ordersFor(worker: string): WorkerOrders {
    const { orders } = this.#options
    if (orders !== undefined) return orders
    throw new CbtorError('conflict', `Cannot give orders to worker ${worker}: its replica takes none from others`)
  }
}

export function stateOf(worker: OfferedWorker, clock: Clock): PeerState {
  const { process, bootstrap, torVersion, startedAt, problem } = worker.observe()
  const now = clock.now()
  return {
    ...{ process, bootstrap, torVersion, problem },
    upMs: startedAt === undefined ? undefined : now - startedAt,
    circuits: worker.circuits?.(),
    actInMs: worker.newCircuitsActAt() - now,
  }
}

/** What of it is worth telling: time alone changes the rest. */
function unaged({ upMs, actInMs, ...rest }: PeerState): string {
  return JSON.stringify([rest, upMs !== undefined, actInMs > 0])
}

import type { TLSSocket } from 'node:tls'
import { eachLine, fromJson, toLine } from '../../cluster/worker-port/lines.ts'
import { CbtorError } from '../../domain/errors.ts'
import type { Identity } from '../../domain/identity.ts'
import type { Exit, PathRelay, Target } from '../../domain/worker.ts'
import { either, onAbort } from '../../lib/abort.ts'
import type { Random } from '../../lib/random.ts'
import { within } from '../../lib/within.ts'
import type { ConnectOptions, DriverEvent, WorkerConnection } from '../driver.ts'
import { dialPeer, type PeerDial, PeerUnreachable } from './dial.ts'
import {
  BEAT_MS,
  errorOf,
  MAX_MESSAGE,
  type OfWatcher,
  type Order,
  ofOwner,
  type PeerState,
  PROTOCOL,
  problemAnswer,
  SILENT_MS,
  streamAnswer,
  watchAnswer,
} from './messages.ts'

/** An order that is given up is answered at once by a replica that works. */
const GIVEN_UP_WITHIN_MS = 1_000

export interface PeerLineListener {
  onEvent(event: DriverEvent): void
  onState(state: PeerState): void
  /** Told once, unless it is disposed of: all that went by it has ended. */
  onLost(reason: string): void
}

export interface PeerLineOptions extends PeerDial, PeerLineListener {
  readonly worker: string
  /** The replica that has it, and ours. */
  readonly to: string
  readonly from: string
  readonly random: Pick<Random, 'bytes'>
}

/** What a stream is told of later. */
interface Told {
  readonly exit: PromiseWithResolvers<Exit | undefined>
  readonly path: PromiseWithResolvers<readonly PathRelay[] | undefined>
}

interface Asked {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** The way to one worker of another replica: one connection for what is told and asked, and one for each stream, which end with it. */
export class PeerLine implements Disposable {
  readonly #options: PeerLineOptions
  readonly #session: string
  readonly #socket: TLSSocket
  readonly #sockets = new Set<TLSSocket>()
  readonly #told = new Map<number, Told>()
  readonly #asked = new Map<number, Asked>()
  /** Aborts what is under way when the line ends. */
  readonly #life = new AbortController()
  #beat: Disposable | undefined
  #state: PeerState
  #stateAt: number
  #heardAt: number
  #number = 0

  /** Rejects with `PeerUnreachable`, with the fault that the replica answers, or with the signal's reason. */
  static async open(options: PeerLineOptions, signal: AbortSignal): Promise<PeerLine> {
    const { worker, to, from, random } = options
    const session = random.bytes(16).toString('base64url')
    const { socket, answer } = await dialPeer(options, { v: PROTOCOL, op: 'watch', to, session, from, worker }, signal)
    const { success, data } = watchAnswer.safeParse(answer)
    if (success && 'ok' in data) return new PeerLine(options, session, socket, data.state)
    socket.destroy()
    throw refusal(answer)
  }

  private constructor(options: PeerLineOptions, session: string, socket: TLSSocket, state: PeerState) {
    const { clock } = options
    this.#options = options
    this.#session = session
    this.#socket = socket
    this.#state = state
    this.#stateAt = clock.now()
    this.#heardAt = clock.monotonic()
    eachLine(
      socket,
      MAX_MESSAGE,
      (line) => this.#hear(line),
      (reason) => this.#lose(reason),
    )
    this.#next()
  }

  get isOver(): boolean {
    return this.#life.signal.aborted
  }

  /** As it was told last. */
  get state(): PeerState {
    return this.#state
  }

  /** When that was, by our wall clock. */
  get stateAt(): number {
    return this.#stateAt
  }

  /** As of a worker driver. */
  async connect(
    target: Target,
    identity: Identity,
    signal: AbortSignal,
    { earlyData, mustBeConfirmed, isCheck }: ConnectOptions = {},
  ): Promise<WorkerConnection> {
    const { clock, worker, to } = this.#options
    const stream = ++this.#number
    // What is told of it may come before its answer.
    const told: Told = { exit: Promise.withResolvers(), path: Promise.withResolvers() }
    this.#told.set(stream, told)
    void Promise.all([told.exit.promise, told.path.promise]).then(() => this.#told.delete(stream))
    try {
      using linked = either(signal, this.#life.signal)
      const opening = {
        ...({ v: PROTOCOL, op: 'connect', to, session: this.#session, stream, worker, target, identity } as const),
        ...(earlyData && { early: Buffer.from(earlyData).toString('base64') }),
        ...(mustBeConfirmed !== undefined && { mustBeConfirmed }),
        ...(isCheck !== undefined && { isCheck }),
      }
      const { socket, answer } = await dialPeer(this.#options, opening, linked.signal)
      const { success, data } = streamAnswer.safeParse(answer)
      if (!success || 'problem' in data) {
        socket.destroy()
        throw refusal(answer)
      }
      this.#sockets.add(socket)
      socket.once('close', () => {
        this.#sockets.delete(socket)
        if (!(socket.readableEnded && socket.writableFinished)) this.#say({ t: 'left', stream })
      })
      const { route, hasPath, isUnconfirmed } = data
      const { exit, path } = told
      if (!hasPath) path.resolve(undefined)
      return {
        ...{ socket, route },
        ...(isUnconfirmed && { isUnconfirmed }),
        exit: (waitMs) => within(clock, waitMs, exit.promise),
        ...(hasPath && { path: (waitMs: number) => within(clock, waitMs, path.promise) }),
      }
    } catch (error) {
      this.#told.delete(stream)
      throw unreachable(`connect through worker ${worker}`, to, error)
    }
  }

  /**
   * Has the owner do it. Rejects with the fault that it answers, or with the signal's reason. `isPatient`: when the signal aborts,
   * the owner still has a second to say why it took so long.
   */
  async ask(order: Order, signal: AbortSignal, { isPatient = false } = {}): Promise<unknown> {
    signal.throwIfAborted()
    const { clock } = this.#options
    const id = ++this.#number
    const answer = Promise.withResolvers<unknown>()
    using _giveUp = onAbort(this.#life.signal, answer.reject)
    using late = new DisposableStack()
    using _cancel = onAbort(signal, (reason) => {
      this.#say({ t: 'cancel', id })
      if (isPatient) late.use(clock.timer(GIVEN_UP_WITHIN_MS, () => answer.reject(reason)))
      else answer.reject(reason)
    })
    this.#asked.set(id, answer)
    this.#say({ t: 'ask', id, order })
    try {
      return await answer.promise
    } finally {
      this.#asked.delete(id)
    }
  }

  forget(identity: Identity): void {
    this.#say({ t: 'forget', identity })
  }

  /** Lets go of the worker: its streams end. */
  [Symbol.dispose](): void {
    const { worker } = this.#options
    this.#end(new CbtorError('worker_unreachable', `Cannot use worker ${worker}: it was let go of`))
  }

  #lose(reason: string): void {
    if (this.#life.signal.aborted) return
    const { worker, to } = this.#options
    this.#end(new CbtorError('worker_unreachable', `Cannot use worker ${worker}: replica ${to} is lost: ${reason}`))
    this.#options.onLost(reason)
  }

  #end(reason: CbtorError): void {
    if (this.#life.signal.aborted) return
    this.#life.abort(reason)
    this.#beat?.[Symbol.dispose]()
    this.#socket.destroy()
    for (const socket of this.#sockets) socket.destroy()
    for (const { exit, path } of this.#told.values()) {
      exit.resolve(undefined)
      path.resolve(undefined)
    }
    this.#told.clear()
  }

  #next(): void {
    const { clock } = this.#options
    this.#beat = clock.timer(BEAT_MS, () => {
      if (clock.monotonic() - this.#heardAt >= SILENT_MS) return this.#lose('it is silent')
      this.#say({ t: 'beat' })
      this.#next()
    })
  }

  #say(message: OfWatcher): void {
    if (this.#socket.writable) this.#socket.write(toLine(message))
  }

  #hear(line: string): void {
    const { clock } = this.#options
    this.#heardAt = clock.monotonic()
    const { success, data } = ofOwner.safeParse(fromJson(line))
    if (!success || this.#life.signal.aborted) return // of a newer version, or late
    switch (data.t) {
      case 'beat':
        return
      case 'state':
        this.#state = data.state
        this.#stateAt = clock.now()
        this.#options.onState(data.state)
        return
      case 'event':
        this.#options.onEvent(data.event)
        return
      case 'exit':
        this.#told.get(data.stream)?.exit.resolve(data.exit)
        return
      case 'path':
        this.#told.get(data.stream)?.path.resolve(data.path)
        return
      case 'answer':
        this.#asked.get(data.id)?.resolve(data.value)
        return
      case 'failed':
        this.#asked.get(data.id)?.reject(errorOf(data))
        return
    }
  }
}

function refusal(answer: unknown): Error {
  const { success, data } = problemAnswer.safeParse(answer)
  return success ? errorOf(data) : new PeerUnreachable('it does not answer as a replica does')
}

/** What the dial says becomes ours here. `attempt` goes on "Cannot ". */
export function unreachable(attempt: string, replica: string, error: unknown): unknown {
  if (!(error instanceof PeerUnreachable)) return error
  const why = `replica ${replica} cannot be reached: ${error.message}`
  return new CbtorError('worker_unreachable', `Cannot ${attempt}: ${why}`, { cause: error })
}

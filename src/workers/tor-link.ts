import { CbtorError } from '../domain/errors.ts'
import type { Identity } from '../domain/identity.ts'
import { type Exit, isOnionHost, type Target } from '../domain/worker.ts'
import { either } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import { within } from '../lib/within.ts'
import type { TorControl } from '../tor/control/client.ts'
import { dialThroughSocks, greetSocks, resolveThroughSocks, type SocksProxy } from '../tor/socks/dial.ts'
import { SocksReplyError } from '../tor/socks/errors.ts'
import type { CircuitSupply, Ticket } from './circuit-stock.ts'
import { ControlWatch } from './control-watch.ts'
import type { ConnectOptions, DriverEvent, NewCircuits, WorkerConnection, WorkerInspection } from './driver.ts'
import type { ExitMinimum } from './exits/exit-choice.ts'
import { ExitRoute } from './exits/exit-route.ts'
import { SOCKS_PASSWORD, type WorkerLink } from './socks-link.ts'
import { problemOfDial } from './tor-problems.ts'

/** The event is there within a millisecond or two of the SOCKS reply; a control connection that hangs holds nobody up. */
const EXIT_KNOWN_WITHIN_MS = 5_000
const REASON_KNOWN_WITHIN_MS = 250
/** Those that stand for several things: failures of all kinds; a name that is not found, and no route. No other is worth the wait. */
const VAGUE_REPLIES: ReadonlySet<number> = new Set([0x01, 0x04])
/** Tor has waited for as long as it does: for the target, or for a circuit that it cannot build. */
const GAVE_UP = 0x06
/** A control port that hangs holds nobody up for longer. */
const TAKEN_WITHIN_MS = 100

export interface TorLinkOptions {
  /** The worker's id, for messages. */
  readonly worker: string
  readonly socks: SocksProxy
  readonly clock: Clock
  readonly onEvent: (event: DriverEvent) => void
  /**
   * Whether the way to the control port may be lost while Tor is well: then a silent one is no sign of ill health. False,
   * the default, where it is a unix socket of our own Tor.
   */
  readonly mayLoseControl?: boolean
  /** How circuits are built ahead, and the budget for them; of its own and without a limit, unless told. */
  readonly circuits?: CircuitSupply
  readonly random?: Random
  /** How many exits must satisfy a demand for certain exits. */
  readonly exits?: ExitMinimum
}

/** A running Tor as a worker uses it: streams through its SOCKS port, and what its control port tells about them. */
export class TorLink implements WorkerLink {
  /** What the control port tells. */
  readonly watch: ControlWatch
  readonly #options: TorLinkOptions
  readonly #exits: ExitRoute

  /** Takes an authenticated control connection, which stays the caller's to close. */
  static async create(control: TorControl, options: TorLinkOptions, signal: AbortSignal): Promise<TorLink> {
    return new TorLink(control, await ControlWatch.create(control, options, signal), options)
  }

  private constructor(control: TorControl, watch: ControlWatch, options: TorLinkOptions) {
    this.watch = watch
    this.#options = options
    this.#exits = new ExitRoute(control, watch, options)
  }

  async connect(
    target: Target,
    identity: Identity,
    signal: AbortSignal,
    { earlyData, isCheck = false }: ConnectOptions = {},
  ): Promise<WorkerConnection> {
    const { worker, socks, clock } = this.#options
    const { watch } = this
    if (watch.refusal) throw watch.refusal
    const { exit: demand } = identity
    if (demand !== undefined) {
      const admit = () => this.#ticket(identity, signal)
      return await this.#exits.connect(target, { ...identity, exit: demand }, signal, {
        admit,
        ...(earlyData && { earlyData }),
      })
    }
    const needsTicket = !isCheck && !isOnionHost(target.host)
    const ticket = needsTicket ? await this.#ticket(identity, signal) : undefined
    const expected = watch.expect({ user: identity.token, target })
    const auth = { username: identity.token, password: SOCKS_PASSWORD }
    using linked = either(signal, expected.stopped)
    const wanted = linked.signal
    try {
      const socket = await dialThroughSocks({ proxy: socks, auth, target, ...(earlyData && { earlyData }) }, wanted)
      // Tor has told of the stream before it answered, and so whether it isolates it; by TCP that may come a little later.
      await within(clock, TAKEN_WITHIN_MS, expected.taken)
      if (wanted.aborted) {
        socket.destroy()
        throw wanted.reason
      }
      const circuit = expected.circuit(EXIT_KNOWN_WITHIN_MS)
      void circuit.finally(() => {
        expected[Symbol.dispose]()
        ticket?.[Symbol.dispose]()
      })
      const exit: Promise<Exit | undefined> = isOnionHost(target.host)
        ? Promise.resolve(undefined)
        : circuit.then((known) => known && watch.exitOf(known))
      return {
        ...{ socket, route: 'socks' },
        exit: (waitMs) => within(clock, waitMs, exit),
        path: (waitMs) =>
          within(
            clock,
            waitMs,
            circuit.then((known) => known && watch.pathOf(known)),
          ),
      }
    } catch (error) {
      const isVague = error instanceof SocksReplyError && VAGUE_REPLIES.has(error.reply)
      const reason = isVague ? await expected.failure(REASON_KNOWN_WITHIN_MS) : undefined
      expected[Symbol.dispose]()
      ticket?.[Symbol.dispose]()
      // Tor may have answered the end of a stream that we had it close before we heard of that.
      if (expected.stopped.aborted) throw expected.stopped.reason
      const gaveUp = error instanceof SocksReplyError && (error.reply === GAVE_UP || reason?.reason === 'CANT_ATTACH')
      if (gaveUp && watch.lacksRelays) throw noExit(error)
      throw problemOfDial(error, worker, reason)
    }
  }

  async resolve(host: string, identity: Identity, signal: AbortSignal): Promise<string> {
    const { worker, socks: proxy } = this.#options
    if (this.watch.refusal) throw this.watch.refusal
    const { exit: demand } = identity
    if (demand !== undefined) {
      const admit = () => this.#ticket(identity, signal)
      return await this.#exits.resolve(host, { ...identity, exit: demand }, signal, { admit })
    }
    const auth = { username: identity.token, password: SOCKS_PASSWORD }
    using _ticket = await this.#ticket(identity, signal)
    try {
      return await resolveThroughSocks({ proxy, auth, host, command: 'resolve' }, signal)
    } catch (error) {
      throw problemOfDial(error, worker)
    }
  }

  forget(identity: Identity): void {
    this.watch.stock.forget(identity.token)
    this.#exits.forget(identity)
  }

  async pulse(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { worker, socks: proxy, mayLoseControl } = this.#options
    const { watch } = this
    // A question of before says nothing of now.
    const asked = watch.isAsked ? watch.ask(signal).then(() => watch.ask(signal)) : watch.ask(signal)
    if (mayLoseControl) asked.catch(() => {})
    const greeted = greetSocks(proxy, { username: 'pulse', password: SOCKS_PASSWORD }, signal)
    const answers = await Promise.allSettled([mayLoseControl ? undefined : asked, greeted])
    const [control, socks] = answers.map(({ status }) => status === 'rejected')
    const isControlSilent = control || (socks && watch.isAsked)
    const silent = [...(isControlSilent ? ['control port'] : []), ...(socks ? ['SOCKS port'] : [])]
    if (silent.length === 0) return
    const cause = answers.find((answer) => answer.status === 'rejected')?.reason
    throw new CbtorError(
      'worker_unreachable',
      `Worker ${worker} does not answer: its ${silent.join(' and its ')} ${silent.length > 1 ? 'are' : 'is'} silent`,
      { cause },
    )
  }

  newCircuits(signal: AbortSignal): Promise<NewCircuits> {
    return this.watch.newCircuits(signal)
  }

  newCircuitsActAt(): number {
    return this.watch.newCircuitsActAt()
  }

  inspect(signal: AbortSignal): Promise<WorkerInspection> {
    return this.watch.inspect(signal)
  }

  warmUp(signal: AbortSignal): Promise<void> {
    return this.watch.warmUp(signal)
  }

  /** For an identity whose exit is chosen, Tor builds a circuit that nobody else could use. */
  #ticket({ token, exit, owner }: Identity, signal: AbortSignal): Promise<Ticket> {
    return this.watch.stock.take(token, exit === undefined ? 'circuit' : 'budget', signal, owner)
  }
}

function noExit(cause: Error): CbtorError {
  const why = 'the Tor of this worker knows no relays for it, or its torrc leaves it none'
  return new CbtorError('no_usable_exit', `Cannot connect to the target: ${why}`, { cause })
}

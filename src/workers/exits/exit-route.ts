import { isIPv6, type Socket } from 'node:net'
import { CbtorError } from '../../domain/errors.ts'
import type { ExitDemand, Identity } from '../../domain/identity.ts'
import { isOnionHost, type Target } from '../../domain/worker.ts'
import { abortable, deadline, either } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { type Random, systemRandom } from '../../lib/random.ts'
import { within } from '../../lib/within.ts'
import type { TorControl } from '../../tor/control/client.ts'
import type { Circuit } from '../../tor/control/events/circuit.ts'
import { dialThroughSocks, resolveThroughSocks, type SocksProxy } from '../../tor/socks/dial.ts'
import { SocksReplyError } from '../../tor/socks/errors.ts'
import type { ControlWatch } from '../control-watch.ts'
import type { ConnectOptions, WorkerConnection } from '../driver.ts'
import { SOCKS_PASSWORD } from '../socks-link.ts'
import { problemOfDial } from '../tor-problems.ts'
import { ExitCandidates } from './exit-candidates.ts'
import { DEFAULT_MINIMUM, type ExitMinimum } from './exit-choice.ts'
import { ExitDirectory } from './exit-directory.ts'
import { ExitMappings } from './exit-mappings.ts'
import { ExitPreferences } from './exit-preferences.ts'
import type { DescribedExit } from './exit-relay.ts'
import { type AwaitedStream, ExitFault, ExitStreams } from './exit-streams.ts'

/** So many exits are tried for one stream. */
const MAX_EXITS = 3
/** The events are there within a millisecond or two of the SOCKS reply. */
const PROVEN_WITHIN_MS = 5_000
const REASON_KNOWN_WITHIN_MS = 250
/** Names are asked of exits that a browser could use. */
const RESOLVED_FOR = 443

export type ChoosyIdentity = Pick<Identity, 'token'> & { readonly exit: ExitDemand }

export interface AdmitOptions {
  /** Waits until Tor may be given cause to build a circuit for the identity. To be disposed of when its stream is on one, or has failed. */
  admit(): Promise<Disposable>
}

export interface ExitRouteOptions {
  /** The worker's id, for messages. */
  readonly worker: string
  readonly socks: SocksProxy
  readonly clock: Clock
  readonly random?: Random
  /** How many exits must satisfy a demand. */
  readonly exits?: ExitMinimum
}

/** What came of a question, and the circuit by which it went. */
interface Proven<T> {
  readonly result: T
  readonly circuit: Circuit | undefined
}

/**
 * Streams of identities that demand certain exits. The exit is chosen here, by bandwidth among those that fit, and Tor is told by the name
 * that is dialled; its circuits stay its own to build, with its guards. Whatever cannot be had is an error: no stream ever leaves
 * by an exit that does not fit.
 */
export class ExitRoute {
  readonly #options: ExitRouteOptions
  readonly #watch: ControlWatch
  readonly #candidates: ExitCandidates
  readonly #mappings: ExitMappings
  readonly #streams: ExitStreams
  readonly #preferences: ExitPreferences

  /** Takes an authenticated control connection that is subscribed to CIRC, STREAM and STATUS_CLIENT, and is the caller's to close. */
  constructor(control: TorControl, watch: ControlWatch, options: ExitRouteOptions) {
    const { worker, clock, random = systemRandom, exits: minimum = DEFAULT_MINIMUM } = options
    this.#options = options
    this.#preferences = new ExitPreferences({ clock, random })
    this.#watch = watch
    const directory = new ExitDirectory({ worker, control, clock })
    this.#candidates = new ExitCandidates({ worker, directory, minimum, clock })
    this.#mappings = new ExitMappings({ worker, control, clock, random })
    this.#streams = new ExitStreams((id) => watch.circuit(id))
    control.onEvent((event) => {
      this.#streams.handle(event)
      if (event.type === 'STATUS_CLIENT' && event.action === 'CONSENSUS_ARRIVED') directory.outdate()
    })
    control.onClose((cause) => {
      const why = 'its control port was lost before it had told by which exit the stream goes'
      this.#streams.lost(
        new CbtorError('worker_unreachable', `Cannot connect through worker ${worker}: ${why}`, { cause }),
      )
    })
  }

  /** As `WorkerDriver.connect` promises, for an identity that demands certain exits. */
  async connect(
    to: Target,
    identity: ChoosyIdentity,
    signal: AbortSignal,
    { earlyData, admit }: ConnectOptions & AdmitOptions,
  ): Promise<WorkerConnection> {
    requireChoice(to.host)
    const { token: username } = identity
    const { exit, result, circuit } = await this.#byExit(
      to.host,
      to.port,
      identity,
      admit,
      signal,
      async (name, wanted) => {
        const { socks: proxy } = this.#options
        const target = { host: name, port: to.port }
        using expected = this.#watch.expect({ user: username, target })
        try {
          using both = either(wanted, expected.stopped)
          const auth = { username, password: SOCKS_PASSWORD }
          return await dialThroughSocks({ proxy, auth, target, ...(earlyData && { earlyData }) }, both.signal)
        } catch (error) {
          throw expected.stopped.aborted ? expected.stopped.reason : error
        }
      },
    )
    const { nickname, fingerprint, address, country } = exit
    const told = { nickname, fingerprint, address, ...(country !== undefined && { country }) }
    return {
      ...{ socket: result, route: 'socks' },
      exit: async () => told,
      path: (waitMs) => within(this.#options.clock, waitMs, Promise.resolve(circuit && this.#watch.pathOf(circuit))),
    }
  }

  /** As `WorkerDriver.resolve` promises, for an identity that demands certain exits. */
  async resolve(host: string, identity: ChoosyIdentity, signal: AbortSignal, { admit }: AdmitOptions): Promise<string> {
    requireChoice(host)
    const auth = { username: identity.token, password: SOCKS_PASSWORD }
    const { socks: proxy } = this.#options
    const { result } = await this.#byExit(host, RESOLVED_FOR, identity, admit, signal, (name, wanted) =>
      resolveThroughSocks({ proxy, auth, host: name, command: 'resolve' }, wanted),
    )
    return result
  }

  /** Nobody will ask for this identity again. */
  forget({ token }: Pick<Identity, 'token'>): void {
    this.#preferences.forget(token)
  }

  /** The exit that the identity has, if it fits, else one by bandwidth; undefined when all that fit were tried. */
  async #choose(
    port: number,
    token: string,
    demand: ExitDemand,
    tried: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<DescribedExit | undefined> {
    const fitting = (await this.#candidates.for(demand, port, signal)).filter(
      ({ fingerprint }) => !tried.has(fingerprint),
    )
    return this.#preferences.choose(fitting, token, port)
  }

  /** Does `ask` by an exit that fits, and by another one when that one fails. */
  async #byExit<T extends Socket | string>(
    host: string,
    port: number,
    { token, exit: demand }: ChoosyIdentity,
    admit: AdmitOptions['admit'],
    signal: AbortSignal,
    ask: (name: string, signal: AbortSignal) => Promise<T>,
  ): Promise<{ exit: DescribedExit } & Proven<T>> {
    signal.throwIfAborted()
    const tried = new Set<string>()
    let fault: ExitFault | undefined
    for (;;) {
      const exit = tried.size < MAX_EXITS ? await this.#choose(port, token, demand, tried, signal) : undefined
      if (exit === undefined) throw fault?.problem ?? new Error('Cannot choose an exit: some fit, and there is none')
      tried.add(exit.fingerprint)
      // Not before: that there is no exit is told without a wait, and builds no circuit.
      using _ticket = await admit()
      try {
        return { exit, ...(await this.#through(exit, host, token, signal, ask)) }
      } catch (error) {
        if (!(error instanceof ExitFault)) throw error
        fault = error
        this.#preferences.failed(exit, token, port, fault.isOfPort ? 'port' : 'unreachable')
      }
    }
  }

  /** Rejects with an `ExitFault` when another exit may do better. */
  async #through<T extends Socket | string>(
    exit: DescribedExit,
    host: string,
    user: string,
    signal: AbortSignal,
    ask: (name: string, signal: AbortSignal) => Promise<T>,
  ): Promise<Proven<T>> {
    if (this.#watch.refusal) throw this.#watch.refusal
    using mapping = await this.#mappings.map(host, exit.fingerprint, signal)
    using awaited = this.#streams.expect({ name: mapping.name, user, exit: exit.fingerprint })
    using linked = either(signal, awaited.failed)
    const wanted = linked.signal
    let result: T | undefined
    try {
      result = await ask(mapping.name, wanted)
      await this.#proven(awaited, PROVEN_WITHIN_MS, wanted)
      return { result, circuit: awaited.circuit }
    } catch (error) {
      if (typeof result === 'object') result.destroy()
      if (signal.aborted) throw signal.reason
      if (!(error instanceof SocksReplyError)) throw problemOfDial(error, this.#options.worker)
      // The reply says less than the stream's own reason, and none of its codes for onion services means one here.
      await this.#proven(awaited, REASON_KNOWN_WITHIN_MS, signal)
      throw problemOfDial(error.reply < 0xf0 ? error : new SocksReplyError(0x01), this.#options.worker)
    }
  }

  /** Resolves once it is known that the stream leaves by its exit. Rejects when it does not, or when nobody tells. */
  async #proven(awaited: AwaitedStream, withinMs: number, signal: AbortSignal): Promise<void> {
    const { worker, clock } = this.#options
    const why = 'its Tor does not tell by which exit the stream goes'
    const late = () => new CbtorError('worker_unreachable', `Cannot connect through worker ${worker}: ${why}`)
    using limit = deadline(clock, withinMs, signal, late)
    await abortable(awaited.settled, limit.signal)
  }
}

/** Throws `exit_rule_unsupported` for a target to which no exit can be chosen. */
function requireChoice(host: string): void {
  if (isOnionHost(host)) throw unsupported('an onion service is reached without one')
  // MAPADDRESS takes no IPv6 address with an exit behind it, in no spelling.
  if (isIPv6(host)) throw unsupported('Tor cannot be told by which exit to go to an IPv6 address; ask for a name')
}

function unsupported(why: string): CbtorError {
  return new CbtorError('exit_rule_unsupported', `Cannot choose an exit: ${why}`)
}

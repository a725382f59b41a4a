import { BlockList, isIPv4, isIPv6, type Socket } from 'node:net'
import { CbtorError } from '../../domain/errors.ts'
import type { Identity } from '../../domain/identity.ts'
import type { Target } from '../../domain/worker.ts'
import { abortable, deadline, either, onAbort } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { within } from '../../lib/within.ts'
import { dialTransparently, resolveTransparently } from '../../tor/transparent/dial.ts'
import { TransparentResolveError, TransparentUnreachableError } from '../../tor/transparent/errors.ts'
import type { Ticket } from '../circuit-stock.ts'
import type { ControlWatch } from '../control-watch.ts'
import type { ConnectOptions, WorkerConnection } from '../driver.ts'
import type { ExpectedStream, StreamOutcome } from '../stream-watch.ts'
import { problemOfStream } from '../tor-problems.ts'
import type { SourceAddresses, SourceLease } from './source-addresses.ts'

/** Through a tunnel that is well, an answer takes a round trip, as Tor makes it up by itself. */
const ANSWERED_WITHIN_MS = 1_000
const QUESTIONS = 3
/** What the box's torrc has as VirtualAddrNetworkIPv4. */
const VIRTUAL = new BlockList()
VIRTUAL.addSubnet('10.128.0.0', 10, 'ipv4')
/** Tor's own default for VirtualAddrNetworkIPv6; on the internet these addresses are nobody's. */
const VIRTUAL_IPV6 = new BlockList()
VIRTUAL_IPV6.addSubnet('fe80::', 10, 'ipv6')
/** How often another port is tried, when somebody on this machine has the one that was chosen. */
const PORTS_TRIED = 3
/** A name that nobody connects to. */
const PULSE_NAME = 'pulse.invalid'
/** How long Tor's word that it has taken a stream may be on its way from the box. */
const TAKEN_WITHIN_MS = 500
/** How often the control port is asked whether it still talks to us, while we wait for its word. */
const STILL_HEARD_EVERY_MS = 3_000
/** How long the reason may lag behind the end of a stream. */
const REASON_KNOWN_WITHIN_MS = 250
const EXIT_KNOWN_WITHIN_MS = 5_000

export interface TransparentRouteOptions {
  /** The worker's id, for messages. */
  readonly worker: string
  /** The tunnel's number N: the box is 10.201.N.1, our end 10.201.N.2. */
  readonly tunnel: number
  readonly addresses: SourceAddresses
  readonly clock: Clock
  /** What the control port tells; undefined while it is out of reach. */
  watch(): ControlWatch | undefined
  /** How the network is used; by the tunnel, unless told. */
  readonly way?: { readonly dial: typeof dialTransparently; readonly resolve: typeof resolveTransparently }
}

/**
 * Clearnet streams by the box's TransPort: an identity is a source address in the tunnel, and a name goes to Tor by its DNSPort,
 * which answers with a virtual address that stands for it, so that the exit resolves it when it connects.
 *
 * The TransPort itself says nothing: it takes every connection, and whatever goes wrong looks like an end without a byte. So the
 * control port's STREAM events have the word, found by the port that a stream comes from. When they cannot be heard, the
 * connection is handed out unconfirmed.
 */
export class TransparentRoute {
  readonly #options: TransparentRouteOptions
  readonly #way: NonNullable<TransparentRouteOptions['way']>

  constructor(options: TransparentRouteOptions) {
    this.#options = options
    this.#way = options.way ?? { dial: dialTransparently, resolve: resolveTransparently }
  }

  /**
   * As `WorkerDriver.connect` promises; resolves to undefined when no source address is free for the identity, and when Tor's word,
   * which it has to have, cannot be heard: then it goes another way.
   */
  async connect(
    target: Target,
    identity: Identity,
    signal: AbortSignal,
    options: ConnectOptions = {},
  ): Promise<WorkerConnection | undefined> {
    const { mustBeConfirmed = false } = options
    for (let attempt = 1; ; attempt++) {
      if (mustBeConfirmed && this.#options.watch() === undefined) return undefined
      try {
        const connection = await this.#connect(target, identity, signal, options)
        if (!mustBeConfirmed || !connection?.isUnconfirmed) return connection
        connection.socket.destroy()
        return undefined
      } catch (error) {
        if (!isPortTaken(error) || attempt >= PORTS_TRIED) throw problemOfTransparent(error, this.#options.worker)
      }
    }
  }

  /** The circuits of its address are closed when no stream is on them. The address stays its own for as long as it would. */
  forget({ token }: Identity): void {
    const host = this.#options.addresses.addressOf(token)
    if (host !== undefined) this.#options.watch()?.stock.forget(host)
  }

  async #connect(
    target: Target,
    identity: Identity,
    signal: AbortSignal,
    { isCheck = false }: ConnectOptions,
  ): Promise<WorkerConnection | undefined> {
    const { addresses } = this.#options
    const lease = addresses.lease(identity.token)
    if (lease === undefined) return undefined
    const watch = this.#options.watch()
    const expected = watch?.expect({ from: lease })
    let isDialled = false
    let ticket: Ticket | undefined
    try {
      if (watch?.refusal) throw watch.refusal
      if (!isCheck) ticket = await watch?.stock.take(lease.host, 'circuit', signal, identity.owner)
      using linked = expected && either(signal, expected.stopped)
      const wanted = linked?.signal ?? signal
      const socket = await this.#dial(target, lease, wanted)
      isDialled = true
      socket.once('close', () => lease[Symbol.dispose]())
      return await this.#confirmed(socket, watch, expected, wanted)
    } catch (error) {
      // Nothing has come from its address, so nobody can have seen it.
      if (!isDialled) lease.cancel()
      lease[Symbol.dispose]()
      expected?.[Symbol.dispose]()
      throw expected?.stopped.aborted ? expected.stopped.reason : error
    } finally {
      // By now Tor has told which circuit the stream is on, or cannot be heard.
      ticket?.[Symbol.dispose]()
    }
  }

  /**
   * Has the DNSPort answer, through the tunnel and the box's firewall; it makes the answer up by itself, so no circuit is built.
   * Rejects with `worker_unreachable`, also when its time is up.
   */
  async pulse(signal: AbortSignal): Promise<void> {
    try {
      await this.#way.resolve(this.#query(PULSE_NAME), signal)
    } catch (cause) {
      const silence = `Worker ${this.#options.worker} does not answer: its DNSPort is silent`
      throw new CbtorError('worker_unreachable', silence, { cause })
    }
  }

  async #dial(target: Target, from: SourceLease, signal: AbortSignal): Promise<Socket> {
    const address = await this.#way.resolve(this.#query(target.host), signal)
    // Any other address may lead elsewhere than into Tor, to this machine itself among others.
    if (!isVirtual(address))
      throw new TransparentResolveError('ENOTVIRTUAL', 'The DNSPort answers with an address that stands for no name')
    return await this.#way.dial({ address, port: target.port, from }, signal)
  }

  #query(name: string) {
    const { tunnel } = this.#options
    const server = { host: `10.201.${tunnel}.1`, port: 53 }
    return { name, server, from: `10.201.${tunnel}.2`, timeoutMs: ANSWERED_WITHIN_MS, tries: QUESTIONS }
  }

  /** Waits for Tor's word on the stream. Destroys the socket when it rejects. */
  async #confirmed(
    socket: Socket,
    watch: ControlWatch | undefined,
    expected: ExpectedStream | undefined,
    signal: AbortSignal,
  ): Promise<WorkerConnection> {
    try {
      const outcome = watch && expected && (await this.#heard(socket, watch, expected, signal))
      if (outcome === undefined) {
        const exit = expected?.exit(EXIT_KNOWN_WITHIN_MS) ?? Promise.resolve(undefined)
        void exit.finally(() => expected?.[Symbol.dispose]())
        return {
          socket,
          route: 'transparent',
          isUnconfirmed: true,
          exit: (waitMs) => within(this.#options.clock, waitMs, exit),
        }
      }
      expected?.[Symbol.dispose]()
      if ('failure' in outcome) throw problemOfStream(outcome.failure)
      const { clock } = this.#options
      const { circuit } = outcome
      const exit = Promise.resolve(circuit && watch?.exitOf(circuit))
      return {
        ...{ socket, route: 'transparent' },
        exit: (waitMs) => within(clock, waitMs, exit),
        path: (waitMs) => within(clock, waitMs, Promise.resolve(circuit && watch?.pathOf(circuit))),
      }
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  /** Undefined when Tor's word cannot be heard. Rejects with the signal's reason. */
  async #heard(
    socket: Socket,
    watch: ControlWatch,
    expected: ExpectedStream,
    signal: AbortSignal,
  ): Promise<StreamOutcome | undefined> {
    const { clock } = this.#options
    const unheard = Promise.withResolvers<undefined>()
    const ended = Promise.withResolvers<StreamOutcome | undefined>()
    using _closed = watch.onClose(() => unheard.resolve(undefined))
    using _aborted = onAbort(signal, (reason) => ended.reject(reason))
    const onEnd = () => {
      const unknown: StreamOutcome = {
        failure: { reason: undefined, remoteReason: undefined, circuitId: undefined },
      }
      void within(clock, REASON_KNOWN_WITHIN_MS, expected.settled).then((told) => ended.resolve(told ?? unknown))
    }
    socket.once('close', onEnd)
    const settled = Promise.race([expected.settled, ended.promise, unheard.promise])
    settled.catch(() => {})
    try {
      const first = Promise.race([settled, expected.taken.then(() => 'taken' as const)])
      const early = await within(clock, TAKEN_WITHIN_MS, first)
      if (early !== 'taken') return early
      for (;;) {
        const outcome = await within(
          clock,
          STILL_HEARD_EVERY_MS,
          settled.then((value) => ({ value })),
        )
        if (outcome !== undefined) return outcome.value
        if (!(await this.#stillTalks(watch, signal))) return undefined
      }
    } finally {
      socket.off('close', onEnd)
    }
  }

  async #stillTalks(watch: ControlWatch, signal: AbortSignal): Promise<boolean> {
    using limit = deadline(this.#options.clock, STILL_HEARD_EVERY_MS, signal, () => new Error('no answer'))
    return await abortable(watch.ask(limit.signal), limit.signal).then(
      () => true,
      () => {
        signal.throwIfAborted()
        return false
      },
    )
  }
}

/** Whether the box's Tor made the address up, to stand for a name, as its DNSPort does. */
function isVirtual(address: string): boolean {
  return isIPv4(address) && VIRTUAL.check(address, 'ipv4')
}

/** The same of any address that it may make up: who asks its SOCKS port gets one of IPv6. */
export function isMadeUp(address: string): boolean {
  return isVirtual(address) || (isIPv6(address) && VIRTUAL_IPV6.check(address, 'ipv6'))
}

/** Another program listens on the port that we wanted to come from. */
function isPortTaken(error: unknown): boolean {
  return error instanceof TransparentUnreachableError && codeIn(error.cause) === 'EADDRINUSE'
}

function codeIn(cause: unknown): string | undefined {
  return cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined
}

/** Foreign errors of the way into the TransPort become ours here, and nowhere else. */
function problemOfTransparent(error: unknown, worker: string): unknown {
  if (error instanceof TransparentUnreachableError) {
    const message = `Cannot connect through worker ${worker}: its TransPort is out of reach`
    return new CbtorError('worker_unreachable', message, { cause: error })
  }
  if (!(error instanceof TransparentResolveError)) return error
  return error.code === 'ENOTFOUND' || error.code === 'ENODATA'
    ? new CbtorError('resolve_failed', "Cannot connect to the target: Tor's DNSPort knows no address for its name", {
        cause: error,
      })
    : new CbtorError('worker_unreachable', `Cannot connect through worker ${worker}: its DNSPort does not answer`, {
        cause: error,
      })
}

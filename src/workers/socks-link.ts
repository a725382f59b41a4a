import { CbtorError } from '../domain/errors.ts'
import type { Identity } from '../domain/identity.ts'
import type { Target } from '../domain/worker.ts'
import type { Clock } from '../lib/clock.ts'
import { dialThroughSocks, greetSocks, resolveThroughSocks, type SocksProxy } from '../tor/socks/dial.ts'
import type { ControlWatch } from './control-watch.ts'
import {
  type ConnectOptions,
  type NewCircuits,
  NOTHING_KNOWN,
  type WorkerConnection,
  type WorkerDriver,
} from './driver.ts'
import { problemOfDial } from './tor-problems.ts'

/** Isolation is by user name and password together; the user name alone carries the identity. */
export const SOCKS_PASSWORD = 'cbtor'

/** What Tor is reached by for as long as it is up: the part of a driver's promise that is about streams and circuits. */
export interface WorkerLink
  extends Pick<
    WorkerDriver,
    'connect' | 'resolve' | 'forget' | 'pulse' | 'newCircuits' | 'newCircuitsActAt' | 'inspect' | 'warmUp'
  > {
  /** What its control port tells; undefined while that is out of reach. */
  readonly watch?: ControlWatch
}

export interface SocksLinkOptions {
  /** The worker's id, for messages. */
  readonly worker: string
  readonly socks: SocksProxy
  readonly clock: Clock
  /** Whether there is a control port that may come back. */
  readonly control: 'none' | 'lost'
}

/**
 * A Tor of which only the SOCKS port is in reach. It carries streams as any other, and that is all: which exit a stream takes
 * is not known; that identities are kept apart is the word of whoever runs it, and cannot be proven; nobody sees a storm of circuits, so
 * a target that no exit takes is given up by the caller's signal or by Tor's SocksTimeout; and where Tor's reply says little,
 * so does the error.
 */
export class SocksLink implements WorkerLink {
  readonly #options: SocksLinkOptions

  constructor(options: SocksLinkOptions) {
    this.#options = options
  }

  async connect(
    target: Target,
    identity: Identity,
    signal: AbortSignal,
    { earlyData }: ConnectOptions = {},
  ): Promise<WorkerConnection> {
    const { worker, socks: proxy } = this.#options
    this.#requireNoDemand(identity)
    const auth = { username: identity.token, password: SOCKS_PASSWORD }
    try {
      const socket = await dialThroughSocks({ proxy, auth, target, ...(earlyData && { earlyData }) }, signal)
      return { socket, route: 'socks', exit: async () => undefined }
    } catch (error) {
      throw problemOfDial(error, worker)
    }
  }

  async resolve(host: string, identity: Identity, signal: AbortSignal): Promise<string> {
    const { worker, socks: proxy } = this.#options
    this.#requireNoDemand(identity)
    const auth = { username: identity.token, password: SOCKS_PASSWORD }
    try {
      return await resolveThroughSocks({ proxy, auth, host, command: 'resolve' }, signal)
    } catch (error) {
      throw problemOfDial(error, worker)
    }
  }

  /** Tor closes them by itself when they are old. */
  forget(): void {}

  async pulse(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { worker, socks } = this.#options
    try {
      await greetSocks(socks, { username: 'pulse', password: SOCKS_PASSWORD }, signal)
    } catch (cause) {
      throw new CbtorError('worker_unreachable', `Worker ${worker} does not answer: its SOCKS port is silent`, {
        cause,
      })
    }
  }

  async newCircuits(signal: AbortSignal): Promise<NewCircuits> {
    signal.throwIfAborted()
    throw this.#needsControl('get new circuits of')
  }

  newCircuitsActAt(): number {
    return this.#options.clock.now()
  }

  async inspect() {
    return NOTHING_KNOWN
  }

  async warmUp(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    throw this.#needsControl('warm up')
  }

  #requireNoDemand({ exit }: Identity): void {
    if (exit === undefined) return
    const { worker } = this.#options
    throw new CbtorError(
      'exit_rule_unsupported',
      `Cannot choose an exit through worker ${worker}: that takes its control port`,
    )
  }

  /** With no control port, the same order fails until somebody configures one; a lost one may come back by itself. */
  #needsControl(attempt: string): CbtorError {
    const { worker, control } = this.#options
    return control === 'none'
      ? new CbtorError('conflict', `Cannot ${attempt} worker ${worker}: it has no control port. Configure one`)
      : new CbtorError('worker_unreachable', `Cannot ${attempt} worker ${worker}: its control port does not answer`)
  }
}

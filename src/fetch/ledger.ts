import type { FailureReceipt, FetchRequest, Receipt, Timing, WireBytes } from '../domain/exchange.ts'
import type { IdentityKind } from '../domain/identity.ts'
import type { Exit } from '../domain/worker.ts'
import type { Clock } from '../lib/clock.ts'
import { within } from '../lib/within.ts'
import type { Connection } from './connection.ts'
import type { Exchange } from './exchange.ts'
import type { Tries, Try } from './tries.ts'

/** As long as Tor may need to tell of a circuit, */
const EXIT_KNOWN_WITHIN_MS = 5_000
/** and how long an answer may wait for that. */
const EXIT_WAIT_MS = 250

export interface LedgerOptions {
  readonly clock: Clock
  readonly request: Pick<FetchRequest, 'stickyKey' | 'isolation' | 'circuitPath'>
  readonly tries: Tries
  /** By the monotonic clock. */
  readonly startedAt: number
}

interface Used {
  readonly connection: Connection
  readonly told: Promise<Exit | undefined>
  isTold: boolean
  /** Once it is told. */
  exit: Exit | undefined
}

/** How an answer came, as of its first byte. */
export type Delivery = Pick<Receipt, 'identity' | 'worker' | 'route' | 'exit' | 'circuitPath' | 'connectionReused'>

/** Keeps count of what is done for one fetch, for the receipt of its answer or of its failure. Made as soon as there is a lease. */
export class Ledger {
  readonly #options: LedgerOptions
  readonly #identity: IdentityKind
  readonly #queueMs: number
  #wire: WireBytes = { received: 0, sent: 0 }
  /** The connection that each try used last. */
  readonly #used = new Map<Try, Used>()

  constructor(options: LedgerOptions) {
    const { clock, request, startedAt } = options
    this.#options = options
    this.#identity = request.stickyKey === undefined ? request.isolation : 'sticky'
    this.#queueMs = clock.monotonic() - startedAt
  }

  /** A request goes out on the connection, in this try. */
  uses(connection: Connection, turn: Try): void {
    const told = connection.exit(EXIT_KNOWN_WITHIN_MS)
    const used: Used = { connection, told, isTold: false, exit: undefined }
    this.#used.set(turn, used)
    told.then(
      (exit) => {
        used.isTold = true
        used.exit = exit
      },
      () => {}, // whoever needs it hears of it
    )
  }

  /** So far. */
  get wire(): WireBytes {
    return this.#wire
  }

  /** So far, with what the connection has carried since it was counted last. */
  count(connection: Connection): WireBytes {
    this.add(connection.takeTraffic())
    return this.#wire
  }

  /** Counts what was carried beside any connection. */
  add({ received, sent }: WireBytes): void {
    this.#wire = { received: this.#wire.received + received, sent: this.#wire.sent + sent }
  }

  /** Waits a little for Tor to tell what it has not told yet. */
  async delivery(connection: Connection): Promise<Delivery> {
    const isAsked = this.#options.request.circuitPath === true
    const path = isAsked ? connection.path(EXIT_WAIT_MS) : undefined
    const exit = await this.#exitOf(connection)
    const circuitPath = await path
    return {
      identity: this.#identity,
      worker: connection.key.workerId,
      route: connection.route,
      exit,
      ...(isAsked && { circuitPath }),
      connectionReused: connection.isReused,
    }
  }

  /** `bodyEndedAt`: by the monotonic clock. */
  timing(connection: Connection, exchange: Exchange, bodyEndedAt: number): Timing {
    const { standing, isReused } = connection
    return {
      queueMs: this.#queueMs,
      connectMs: isReused ? 0 : standing.connectMs,
      tlsMs: isReused ? 0 : standing.tlsMs,
      // A target may answer before it has read the whole request, and a request may go ahead of its connection.
      firstByteMs: Math.max(0, exchange.answeredAt - Math.max(exchange.sentAt, standing.at)),
      bodyMs: bodyEndedAt - exchange.answeredAt,
      totalMs: this.#totalMs,
    }
  }

  /** Of a request that failed: all is of its last try, but for the bytes. */
  failure(): FailureReceipt {
    const { last } = this.#options.tries
    const { connection, exit } = (last && this.#used.get(last)) ?? {}
    const made = connection && !connection.isReused ? connection.standing : undefined
    return {
      identity: this.#identity,
      worker: last?.lease.worker.id,
      route: connection?.route,
      exit,
      timing: {
        queueMs: this.#queueMs,
        ...(made && { connectMs: made.connectMs, tlsMs: made.tlsMs }),
        totalMs: this.#totalMs,
      },
      bytes: this.#wire,
    }
  }

  async #exitOf(connection: Connection): Promise<Exit | undefined> {
    const used = [...this.#used.values()].find((each) => each.connection === connection)
    if (used?.isTold) return used.exit
    return await within(this.#options.clock, EXIT_WAIT_MS, used?.told ?? connection.exit(EXIT_WAIT_MS))
  }

  get #totalMs(): number {
    return this.#options.clock.monotonic() - this.#options.startedAt
  }
}

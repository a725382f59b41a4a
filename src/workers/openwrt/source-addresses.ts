import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'

/** The identities' share of a tunnel's /24: .1 is the box, .2 the host, .255 the broadcast address. */
const FIRST = 16
const LAST = 254
/**
 * Ports that a source address goes through, one for each stream, before it takes one again. It begins anywhere among them: for
 * two minutes the box remembers each connection, those of our last run included, and gives one that looks the same to it
 * another port, by which we would not know its stream.
 */
const FIRST_PORT = 20_000
const PORTS = 40_000

export interface SourceAddressesOptions {
  /** The tunnel's number N: addresses are 10.201.N.x. */
  readonly tunnel: number
  readonly clock: Clock
  readonly random: Random
  /**
   * How long an address stays with its identity after its last stream has begun or ended: as long as Tor may still give new
   * streams from it to the circuit of the old ones (MaxCircuitDirtiness), and some more.
   */
  readonly holdMs: number
}

/** One stream's hold on an address. Dispose it when the stream has ended. */
export interface SourceLease extends Disposable {
  readonly host: string
  /** For this stream alone. */
  readonly port: number
  /** Says that nothing has been sent from it: an identity that never has sent anything has nothing to be held for. */
  cancel(): void
}

interface Holder {
  readonly last: number
  streams: number
  usedAt: number
  nextPort: number
  /** Whether anything may have been sent for this identity. */
  isUsed: boolean
}

/**
 * Gives each identity a source address of its own inside the tunnel, by which Tor (`IsolateClientAddr`) keeps it apart from the
 * others. An address goes to another identity only when no circuit can have anything of the former one on it.
 */
export class SourceAddresses {
  readonly #tunnel: number
  readonly #clock: Clock
  readonly #random: Random
  readonly #holdMs: number
  /** By the identity's token, the one that was used longest ago first. */
  readonly #holders = new Map<string, Holder>()
  readonly #free: number[] = []

  constructor({ tunnel, clock, random, holdMs }: SourceAddressesOptions) {
    this.#tunnel = tunnel
    this.#clock = clock
    this.#random = random
    this.#holdMs = holdMs
    for (let last = LAST; last >= FIRST; last--) this.#free.push(last)
  }

  /** How many identities could get an address now that have none. */
  get available(): number {
    const now = this.#clock.monotonic()
    return this.#free.length + [...this.#holders.values()].filter((holder) => this.#isOver(holder, now)).length
  }

  /** Of an identity that has one. */
  addressOf(token: string): string | undefined {
    const holder = this.#holders.get(token)
    return holder && this.#address(holder)
  }

  /** Undefined when every address is held: the stream has to go another way, or nowhere. */
  lease(token: string): SourceLease | undefined {
    const now = this.#clock.monotonic()
    const holder = this.#holders.get(token) ?? this.#settle(now)
    if (holder === undefined) return undefined
    this.#use(token, holder, now)
    holder.streams++
    const port = FIRST_PORT + holder.nextPort
    holder.nextPort = (holder.nextPort + 1) % PORTS
    let isOpen = true
    let isCancelled = false
    return {
      host: this.#address(holder),
      port,
      [Symbol.dispose]: () => {
        if (!isOpen) return
        isOpen = false
        holder.streams--
        if (!isCancelled) holder.isUsed = true
        if (holder.streams === 0 && !holder.isUsed) this.#forget(token, holder)
        else this.#use(token, holder, this.#clock.monotonic())
      },
      cancel: () => {
        isCancelled = true
      },
    }
  }

  #address({ last }: Holder): string {
    return `10.201.${this.#tunnel}.${last}`
  }

  /** An address for a newcomer. */
  #settle(now: number): Holder | undefined {
    const last = this.#free.pop()
    if (last !== undefined) return { last, streams: 0, usedAt: now, nextPort: this.#random.int(PORTS), isUsed: false }
    for (const [token, holder] of this.#holders) {
      if (!this.#isOver(holder, now)) continue
      this.#holders.delete(token)
      return { last: holder.last, streams: 0, usedAt: now, nextPort: holder.nextPort, isUsed: false }
    }
    return undefined
  }

  #forget(token: string, holder: Holder): void {
    this.#holders.delete(token)
    this.#free.push(holder.last)
  }

  #use(token: string, holder: Holder, now: number): void {
    holder.usedAt = now
    this.#holders.delete(token)
    this.#holders.set(token, holder)
  }

  #isOver({ streams, usedAt }: Holder, now: number): boolean {
    return streams === 0 && now - usedAt >= this.#holdMs
  }
}

import { siteOf } from '../domain/site.ts'
import type { Clock } from '../lib/clock.ts'
import { parseRetryAfter } from '../lib/retry-after.ts'
import { TokenBucket } from './token-bucket.ts'

/** How much one host gets from one worker. */
export interface PolitenessPolicy {
  /** Requests, and tunnels that are being opened, at a time. */
  readonly concurrent: number
  /** Requests and tunnels per second, in the long run, */
  readonly rate: number
  /** and as many at once. */
  readonly burst: number
  /** Whether nobody asks again a host that told them when to, before that. */
  readonly honourRetryAfter: boolean
}

/** What the design's facts have for the Tor network: no more than a person with a browser, from each worker. */
export const POLITENESS_POLICY: PolitenessPolicy = { concurrent: 4, rate: 2, burst: 4, honourRetryAfter: true }

export interface PolitenessOptions {
  readonly clock: Clock
  readonly policy: PolitenessPolicy
  /** Told when a worker's place at a host has become free. When a token comes, it is not: that is for the clock to tell. */
  onRoom?(site: string, worker: string): void
  /** Hosts that are remembered at most, beyond those that are in use. */
  readonly capacity?: number
}

/** One request's place at a host. Disposing it, even twice, gives it back. */
export interface Place extends Disposable {
  /** Says that it is a tunnel that stands: most of them carry nothing most of the time. */
  stands(): void
  /** A redirect leads there: from now on the place is there, whether there is room or not. */
  goesTo(host: string): void
}

interface Seat {
  readonly bucket: TokenBucket
  inUse: number
}

/** Whatever a target asks for: a mistake there must not shut it out for long. */
const MAX_HELD_BACK_MS = 10 * 60_000
const CAPACITY = 50_000
const NONE: ReadonlyMap<string, number | undefined> = new Map()

/**
 * Sees to it that no target gets more from this service than it takes well: so many requests at a time and per second from each
 * worker, and none before the time that it has asked for. Hosts that are idle are forgotten: what is held is what a few seconds
 * of requests bring.
 */
export class Politeness {
  readonly #options: PolitenessOptions
  #policy: PolitenessPolicy
  /** By host, then by worker; the host that was asked for longest ago is first. */
  readonly #hosts = new Map<string, Map<string, Seat>>()
  /** Until when, by the monotonic clock, by key and host. */
  readonly #heldBack = new Map<string, number>()

  constructor(options: PolitenessOptions) {
    this.#options = options
    this.#policy = options.policy
  }

  /** What goes on keeps its places; who comes from now on finds the new limits. */
  reconfigure(policy: PolitenessPolicy): void {
    this.#policy = policy
  }

  /** Hosts that are held in memory. */
  get size(): number {
    return this.#hosts.size
  }

  /** How long it takes in the long run until a worker may be asked for the same host again. */
  get everyMs(): number {
    return 1_000 / this.#policy.rate
  }

  /**
   * The workers that may not be asked for this host now, and in how many milliseconds they may; undefined: when a place is free.
   * What is not `paced` counts for how many go on at a time, and not for how many come per second.
   */
  busy(host: string, isPaced = true): ReadonlyMap<string, number | undefined> {
    const seats = this.#hosts.get(siteOf(host))
    if (seats === undefined) return NONE
    const now = this.#options.clock.monotonic()
    const busy = new Map<string, number | undefined>()
    for (const [worker, { bucket, inUse }] of seats) {
      const waitMs = isPaced ? bucket.waitMs(this.#policy, now) : 0
      if (inUse >= this.#policy.concurrent) busy.set(worker, undefined)
      else if (waitMs > 0) busy.set(worker, waitMs)
    }
    return busy
  }

  /** A request goes to the host through the worker, whether there is room or not. */
  enter(host: string, worker: string, isPaced = true): Place {
    let leave = this.#take(siteOf(host), worker, isPaced)
    let isStanding = false
    return {
      stands: () => {
        isStanding = true
        leave()
      },
      goesTo: (next) => {
        leave()
        leave = this.#take(siteOf(next), worker, isPaced)
        if (isStanding) leave()
      },
      [Symbol.dispose]: () => leave(),
    }
  }

  /** How long the key has to leave the host alone, because the host has said so; 0 when it has not. */
  heldBackMs(key: string, host: string): number {
    const name = nameOf(key, host)
    const until = this.#heldBack.get(name)
    if (until === undefined) return 0
    const leftMs = until - this.#options.clock.monotonic()
    if (leftMs <= 0) this.#heldBack.delete(name)
    return Math.max(0, leftMs)
  }

  /** A request of the key was answered; `retryAfter` is the header's value. */
  answered(key: string, host: string, status: number, retryAfter: string | undefined): void {
    if (!this.#policy.honourRetryAfter || retryAfter === undefined) return
    if (status !== 429 && status !== 503) return
    const { clock, capacity = CAPACITY } = this.#options
    const ms = parseRetryAfter(retryAfter, clock.now())
    if (ms === undefined || ms <= 0) return
    const name = nameOf(key, host)
    this.#heldBack.delete(name)
    this.#heldBack.set(name, clock.monotonic() + Math.min(ms, MAX_HELD_BACK_MS))
    const [oldest] = this.#heldBack.keys()
    if (this.#heldBack.size > capacity && oldest !== undefined) this.#heldBack.delete(oldest)
  }

  #take(site: string, worker: string, isPaced: boolean): () => void {
    const now = this.#options.clock.monotonic()
    const seats = this.#hosts.get(site) ?? new Map<string, Seat>()
    this.#hosts.delete(site)
    this.#hosts.set(site, seats)
    const seat = seats.get(worker) ?? { bucket: new TokenBucket(this.#policy, now), inUse: 0 }
    seats.set(worker, seat)
    if (isPaced) seat.bucket.take(this.#policy, now)
    seat.inUse++
    this.#forgetIdle(now)
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      seat.inUse--
      this.#options.onRoom?.(site, worker)
    }
  }

  /** Looks at the two that were asked for longest ago: at twice as many as may come, so that what is idle goes. */
  #forgetIdle(now: number): void {
    const { capacity = CAPACITY } = this.#options
    const oldest = this.#hosts.entries()
    for (let looks = 0; looks < 2; looks++) {
      const { value: entry } = oldest.next()
      if (entry === undefined) return
      const [site, seats] = entry
      const isInUse = [...seats.values()].some(({ inUse }) => inUse > 0)
      const isIdle = !isInUse && [...seats.values()].every(({ bucket }) => bucket.isFull(this.#policy, now))
      if (!isIdle && (isInUse || this.#hosts.size <= capacity)) {
        // It would be in the way of those behind it for as long as it is used.
        if (isInUse && this.#hosts.size > 1) this.#toTheEnd(site, seats)
        continue
      }
      this.#hosts.delete(site)
    }
  }

  #toTheEnd(site: string, seats: Map<string, Seat>): void {
    this.#hosts.delete(site)
    this.#hosts.set(site, seats)
  }
}

/** A key's id has no blank in it, so that no two names have the same text. */
function nameOf(key: string, host: string): string {
  return `${key} ${siteOf(host)}`
}

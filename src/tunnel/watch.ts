import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import { messageOf } from './errors.ts'
import type { Host } from './host.ts'
import type { HostTunnels } from './host-tunnels.ts'
import { tunnelNames } from './spec.ts'

export interface TunnelWatchOptions {
  readonly host: Host
  readonly clock: Clock
  readonly logger: Logger
}

/** When nothing was told: changes of what no monitor tells, and changes that it missed. */
const CHECK_EVERY_MS = 15_000
/** A change seldom comes alone. */
const SETTLE_MS = 20
/** Somebody who takes away again and again what we make does not get all of this machine's time. */
const CHECK_AT_MOST_EVERY_MS = 1_000

/** Puts right what changes of the tunnels that are to be up: a link that went down and came back has lost its route. */
export class TunnelWatch implements AsyncDisposable {
  readonly #tunnels: HostTunnels
  readonly #options: TunnelWatchOptions
  readonly #ended = new AbortController()
  readonly #checks = new Map<number, Disposable>()
  readonly #checkedAt = new Map<number, number>()
  readonly #complaints = new Map<number, string>()
  readonly #running = new Set<Promise<void>>()
  readonly #monitor: AsyncDisposable
  #round: Disposable

  constructor(tunnels: HostTunnels, options: TunnelWatchOptions) {
    this.#tunnels = tunnels
    this.#options = options
    this.#monitor = options.host.onChange((line) => this.#onChange(line))
    this.#round = this.#nextRound()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new Error('The watch over the tunnels has ended'))
    this.#round[Symbol.dispose]()
    for (const check of this.#checks.values()) check[Symbol.dispose]()
    await this.#monitor[Symbol.asyncDispose]()
    await Promise.all(this.#running)
  }

  #nextRound(): Disposable {
    return this.#options.clock.timer(CHECK_EVERY_MS, () => {
      for (const n of this.#tunnels.wanted) this.#checkSoon(n)
      this.#round = this.#nextRound()
    })
  }

  #onChange(line: string): void {
    for (const n of this.#tunnels.wanted) {
      const { interfaceName, table, lockTable, identityRanges } = tunnelNames(n)
      const words = [interfaceName, `${table}`, lockTable, ...identityRanges]
      if (words.some((word) => line.includes(word))) this.#checkSoon(n)
    }
  }

  #checkSoon(n: number): void {
    if (this.#checks.has(n)) return
    const { clock } = this.#options
    const earliest = (this.#checkedAt.get(n) ?? Number.NEGATIVE_INFINITY) + CHECK_AT_MOST_EVERY_MS
    const check = clock.timer(Math.max(SETTLE_MS, earliest - clock.monotonic()), () => {
      this.#checks.delete(n)
      this.#checkedAt.set(n, clock.monotonic())
      const run = this.#check(n).finally(() => this.#running.delete(run))
      this.#running.add(run)
    })
    this.#checks.set(n, check)
  }

  async #check(n: number): Promise<void> {
    const { logger } = this.#options
    try {
      const deeds = await this.#tunnels.mend(n, this.#ended.signal)
      if (deeds.length > 0) logger.warn({ tunnel: n, deeds }, 'Something of a tunnel was changed; it is put right')
      this.#complaints.delete(n)
    } catch (error) {
      if (this.#ended.signal.aborted) return
      const message = messageOf(error)
      if (this.#complaints.get(n) !== message) logger.error({ tunnel: n }, message)
      this.#complaints.set(n, message)
    }
  }
}

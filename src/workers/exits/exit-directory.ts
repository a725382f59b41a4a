import { CbtorError } from '../../domain/errors.ts'
import { abortable, deadline } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { SharedRun } from '../../lib/shared-run.ts'
import type { TorControl } from '../../tor/control/client.ts'
import type { Microdescriptor } from '../../tor/control/microdescriptor.ts'
import { problemOfControl } from '../tor-problems.ts'
import type { DescribedExit, ExitRelay } from './exit-relay.ts'

/** Without news of a new consensus, a list is good for so long: they come every hour. */
const FRESH_MS = 3_600_000
/** As long as Tor itself uses a consensus that was not renewed. */
const USABLE_MS = 3 * 3_600_000
/** The whole list has some megabytes, and a box may be far away. */
const TOLD_WITHIN_MS = 15_000
/** Descriptors that Tor did not have it may have by then. */
const ASK_AGAIN_MS = 60_000

type Source = Pick<TorControl, 'relays' | 'microdescriptors' | 'countries'>

export interface ExitDirectoryOptions {
  /** The worker's id, for messages. */
  readonly worker: string
  readonly control: Source
  readonly clock: Clock
}

/**
 * The exits that a worker's Tor knows. Nothing is asked before somebody wants to know; a list that is out of date is used while a newer
 * one is on its way.
 */
export class ExitDirectory {
  readonly #options: ExitDirectoryOptions
  readonly #loads: SharedRun<ExitList>
  #list: { readonly exits: ExitList; readonly at: number } | undefined
  #isOutdated = false

  constructor(options: ExitDirectoryOptions) {
    this.#options = options
    this.#loads = new SharedRun((signal) => this.#load(signal))
  }

  /** There is a new consensus. */
  outdate(): void {
    this.#isOutdated = true
  }

  /** Rejects with `worker_unreachable` when Tor does not tell, or with the signal's reason. */
  async exits(signal: AbortSignal): Promise<ExitList> {
    signal.throwIfAborted()
    const known = this.#list
    const ageMs = known === undefined ? Infinity : this.#options.clock.monotonic() - known.at
    if (known === undefined || ageMs >= USABLE_MS) return await this.#loads.join(signal)
    if ((this.#isOutdated || ageMs >= FRESH_MS) && !this.#loads.isRunning) {
      this.#loads.join(new AbortController().signal).catch(() => {})
    }
    return known.exits
  }

  async #load(signal: AbortSignal): Promise<ExitList> {
    const { worker, control, clock } = this.#options
    this.#isOutdated = false
    using limit = deadline(clock, TOLD_WITHIN_MS, signal, () => silence(worker))
    try {
      const relays = (await control.relays(limit.signal)).filter(({ flags }) => isUsableExit(flags))
      const addresses = relays.map(({ address }) => address)
      const countries = await control.countries(addresses, limit.signal)
      const exits = relays.map(({ nickname, fingerprint, address, bandwidth = 0 }): ExitRelay => {
        const country = countries?.get(address)
        return { nickname, fingerprint, address, bandwidth, ...(country !== undefined && { country }) }
      })
      const list = new ExitList(this.#options, exits, countries !== undefined)
      this.#list = { exits: list, at: clock.monotonic() }
      return list
    } catch (error) {
      throw problemOfControl(error, `choose an exit of worker ${worker}`)
    }
  }
}

/** What one consensus says of exits. Their descriptors, which are the bulk of it, are asked for when they are wanted. */
export class ExitList {
  readonly relays: readonly ExitRelay[]
  /** Whether Tor has a GeoIP database. */
  readonly knowsCountries: boolean
  readonly #options: ExitDirectoryOptions
  readonly #descriptors = new Map<string, Microdescriptor>()
  readonly #fingerprints: ReadonlyMap<string, string>
  readonly #families = new Map<string, ReadonlySet<string>>()
  /** When Tor was asked for descriptors that it did not have. */
  readonly #missed = new Map<string, number>()
  /** One question after the other: those who want the same need not ask twice, and share its failure. */
  #asking: Promise<unknown> | undefined

  constructor(options: ExitDirectoryOptions, relays: readonly ExitRelay[], knowsCountries: boolean) {
    this.#options = options
    this.relays = relays
    this.#fingerprints = new Map(relays.map(({ fingerprint }) => [fingerprint, fingerprint]))
    this.knowsCountries = knowsCountries
  }

  /** Those whose descriptor Tor has. Rejects with `worker_unreachable` when Tor does not tell, or with the signal's reason. */
  async describe(relays: readonly ExitRelay[], signal: AbortSignal): Promise<readonly DescribedExit[]> {
    if (this.#unknown(relays).length > 0) {
      // Whoever waits behind a question that is not answered would wait for as many as there are in front.
      const asked = (this.#asking ?? Promise.resolve()).then(() => this.#ask(relays))
      this.#asking = asked
      const over = () => {
        if (this.#asking === asked) this.#asking = undefined
      }
      asked.then(over, over)
      await abortable(asked, signal)
    }
    return relays.flatMap((relay) => {
      const descriptor = this.#descriptors.get(relay.fingerprint)
      return descriptor === undefined ? [] : [{ ...relay, descriptor }]
    })
  }

  async #ask(relays: readonly ExitRelay[]): Promise<void> {
    const { worker, control, clock } = this.#options
    const unknown = this.#unknown(relays)
    if (unknown.length === 0) return
    using limit = deadline(clock, TOLD_WITHIN_MS, undefined, () => silence(worker))
    try {
      const found = await control.microdescriptors(unknown, limit.signal)
      for (const fingerprint of unknown) {
        const descriptor = found.get(fingerprint)
        if (descriptor === undefined) this.#missed.set(fingerprint, clock.monotonic())
        else this.#descriptors.set(fingerprint, this.#inShort(fingerprint, descriptor))
      }
    } catch (error) {
      throw problemOfControl(error, `choose an exit of worker ${worker}`)
    }
  }

  /**
   * A family names all its hundreds in the descriptor of each of them, so those with the same names share one set. Only exits matter
   * here, and each counts itself in.
   */
  #inShort(own: string, descriptor: Microdescriptor): Microdescriptor {
    const named = descriptor.family.has(own) ? [...descriptor.family] : [...descriptor.family, own]
    const members = named.flatMap((fingerprint) => this.#fingerprints.get(fingerprint) ?? [])
    const key = members.join()
    const family = this.#families.get(key) ?? new Set(members)
    this.#families.set(key, family)
    return { ...descriptor, family }
  }

  #unknown(relays: readonly ExitRelay[]): readonly string[] {
    const askedSince = this.#options.clock.monotonic() - ASK_AGAIN_MS
    return relays
      .map(({ fingerprint }) => fingerprint)
      .filter((fingerprint) => {
        const missedAt = this.#missed.get(fingerprint)
        return !this.#descriptors.has(fingerprint) && (missedAt === undefined || missedAt <= askedSince)
      })
  }
}

function isUsableExit(flags: readonly string[]): boolean {
  const has = (flag: string) => flags.includes(flag)
  return has('Exit') && has('Running') && has('Valid') && !has('BadExit')
}

function silence(worker: string): CbtorError {
  const why = `its Tor has not told which there are within ${TOLD_WITHIN_MS} ms`
  return new CbtorError('worker_unreachable', `Cannot choose an exit of worker ${worker}: ${why}`)
}

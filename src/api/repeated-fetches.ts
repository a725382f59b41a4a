import { CbtorError } from '../domain/errors.ts'
import type { FetchAnswer } from '../domain/exchange.ts'
import { isIdempotent } from '../domain/method.ts'
import { wasNotSent } from '../domain/was-sent.ts'
import { abortable } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { type KeyWatch, keyGone } from './client-signal.ts'

/** A fetch that its caller can ask for again. */
export interface NamedFetch {
  /** The id of the caller, whose keys are its own. */
  readonly owner: string
  /** The Idempotency-Key. */
  readonly key: string
  /** Of all that the request says. */
  readonly digest: string
  readonly method: string
}

interface Entry {
  readonly digest: string
  /** Undefined when the answer was too large to be kept. */
  result: Promise<FetchAnswer> | undefined
  /** What the answer takes of the memory. */
  bytes: number
}

/** How long an answer can be had again, after it came. */
const KEPT_MS = 5 * 60 * 1_000
/** Fetches of one caller that can be had again; each takes memory. */
const MAX_PER_OWNER = 100
const MAX_TOTAL = 2_000
const MAX_ANSWER_BYTES = 1024 * 1024
const MAX_TOTAL_BYTES = 64 * 1024 * 1024
const FULL_FOR_MS = 60_000

/**
 * Fetches with an Idempotency-Key: whoever asks twice, at once or within five minutes, is answered twice and fetches once. In memory,
 * so not beyond a restart. Such a fetch goes on when its client has gone: to ask again is what the key is for.
 */
export class RepeatedFetches {
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()
  readonly #counts = new Map<string, number>()
  #bytes = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * The answer of `fetch`, now or before. `signal` ends nothing but the waiting: the fetch ends with the key of its caller, of which
   * `onKeyGone` tells. Throws `idempotency_key_reused`, `rate_limited` when there
   * are too many, and `conflict` for an answer that was too large to be kept.
   */
  async ask(
    named: NamedFetch,
    fetch: (signal: AbortSignal) => Promise<FetchAnswer>,
    signal: AbortSignal,
    onKeyGone: KeyWatch | undefined,
  ): Promise<{ readonly answer: FetchAnswer; readonly isRepeated: boolean }> {
    const name = JSON.stringify([named.owner, named.key])
    const known = this.#entries.get(name)
    if (known !== undefined && known.digest !== named.digest)
      throw new CbtorError('idempotency_key_reused', 'Cannot fetch: the Idempotency-Key was used for another request')
    const { result } = known ?? this.#begin(name, named, fetch, onKeyGone)
    if (result === undefined)
      throw new CbtorError('conflict', 'Cannot answer again: it was fetched, and the answer was too large to be kept')
    return { answer: await abortable(result, signal), isRepeated: known !== undefined }
  }

  #begin(
    name: string,
    { owner, digest, method }: NamedFetch,
    fetch: (signal: AbortSignal) => Promise<FetchAnswer>,
    onKeyGone: KeyWatch | undefined,
  ): Entry {
    const ofOwner = this.#counts.get(owner) ?? 0
    if (ofOwner >= MAX_PER_OWNER || this.#entries.size >= MAX_TOTAL) {
      const why = 'as many Idempotency-Keys of the last minutes are known as may be'
      throw new CbtorError('rate_limited', `Cannot fetch: ${why}`, { retryAfterMs: FULL_FOR_MS })
    }
    const life = new AbortController()
    const watching = onKeyGone?.(() => life.abort(keyGone()))
    const result = fetch(life.signal)
    const entry: Entry = { digest, result, bytes: 0 }
    this.#entries.set(name, entry)
    this.#counts.set(owner, ofOwner + 1)
    result
      .then(
        ({ body }) => this.#keep(name, owner, entry, body.length),
        (error: unknown) => {
          // What certainly did nothing, or may be done twice, is tried anew by whoever asks again.
          const mayRepeat = isIdempotent(method) || (error instanceof CbtorError && wasNotSent(error))
          if (mayRepeat) this.#forget(name, owner, entry)
          else this.#keep(name, owner, entry, 0)
        },
      )
      .finally(() => watching?.[Symbol.dispose]())
    return entry
  }

  #keep(name: string, owner: string, entry: Entry, bytes: number): void {
    if (bytes <= MAX_ANSWER_BYTES && this.#bytes + bytes <= MAX_TOTAL_BYTES) {
      entry.bytes = bytes
      this.#bytes += bytes
    } else entry.result = undefined
    this.#clock.timer(KEPT_MS, () => this.#forget(name, owner, entry))
  }

  #forget(name: string, owner: string, entry: Entry): void {
    this.#entries.delete(name)
    this.#bytes -= entry.bytes
    const left = (this.#counts.get(owner) ?? 1) - 1
    if (left === 0) this.#counts.delete(owner)
    else this.#counts.set(owner, left)
  }
}

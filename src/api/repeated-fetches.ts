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
  /** Undefined when there was no room for the answer. */
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
/** Of one caller: what it has kept must not cost others their answers. */
const MAX_BYTES_PER_OWNER = MAX_TOTAL_BYTES / 4
const FULL_FOR_MS = 60_000

/**
 * Fetches with an Idempotency-Key: whoever asks twice, at once or within five minutes, is answered twice and fetches once. In memory,
 * so not beyond a restart. Such a fetch goes on when its client has gone: to ask again is what the key is for.
 */
export class RepeatedFetches {
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()
  readonly #owners = new Map<string, { count: number; bytes: number }>()
  #bytes = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * The answer of `fetch`, now or before. `signal` ends nothing but the waiting: the fetch ends with the key of its caller, of which
   * `onKeyGone` tells. Throws `idempotency_key_reused`, `rate_limited` when there
   * are too many, and `conflict` for an answer that there was no room for.
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
      throw new CbtorError('conflict', 'Cannot answer again: it was fetched, and there was no room for the answer')
    return { answer: await abortable(result, signal), isRepeated: known !== undefined }
  }

  #begin(
    name: string,
    { owner, digest, method }: NamedFetch,
    fetch: (signal: AbortSignal) => Promise<FetchAnswer>,
    onKeyGone: KeyWatch | undefined,
  ): Entry {
    const own = this.#owners.get(owner) ?? { count: 0, bytes: 0 }
    if (own.count >= MAX_PER_OWNER || this.#entries.size >= MAX_TOTAL) {
      const why = 'as many Idempotency-Keys of the last minutes are known as may be'
      throw new CbtorError('rate_limited', `Cannot fetch: ${why}`, { retryAfterMs: FULL_FOR_MS })
    }
    const life = new AbortController()
    const watching = onKeyGone?.(() => life.abort(keyGone()))
    const result = fetch(life.signal)
    const entry: Entry = { digest, result, bytes: 0 }
    this.#entries.set(name, entry)
    this.#owners.set(owner, own)
    own.count++
    result
      .then(
        (answer) => this.#keep(name, owner, entry, sizeOf(answer)),
        (error: unknown) => {
          // What certainly did nothing, or may be done twice, is tried anew by whoever asks again.
          const mayRepeat = isIdempotent(method) || (error instanceof CbtorError && wasNotSent(error))
          if (mayRepeat) this.#forget(name, owner, entry)
          else this.#keep(name, owner, entry, sizeOf(error instanceof CbtorError ? error : {}))
        },
      )
      .finally(() => watching?.[Symbol.dispose]())
    return entry
  }

  #keep(name: string, owner: string, entry: Entry, bytes: number): void {
    const own = this.#owners.get(owner)
    const hasRoom = this.#bytes + bytes <= MAX_TOTAL_BYTES && (own?.bytes ?? 0) + bytes <= MAX_BYTES_PER_OWNER
    if (bytes <= MAX_ANSWER_BYTES && hasRoom) {
      entry.bytes = bytes
      this.#bytes += bytes
      if (own !== undefined) own.bytes += bytes
    } else entry.result = undefined
    this.#clock.timer(KEPT_MS, () => this.#forget(name, owner, entry))
  }

  #forget(name: string, owner: string, entry: Entry): void {
    this.#entries.delete(name)
    this.#bytes -= entry.bytes
    const own = this.#owners.get(owner)
    if (own === undefined) return
    own.count--
    own.bytes -= entry.bytes
    if (own.count === 0) this.#owners.delete(owner)
  }
}

/** In memory, about: targets choose also how much there is beside the body. */
function sizeOf({
  body,
  headers = [],
  redirects = [],
}: Partial<Pick<FetchAnswer, 'body' | 'headers' | 'redirects'>>): number {
  const texts = [...headers.flat(), ...redirects.flatMap(({ from, to }) => [from, to])]
  return texts.reduce((sum, text) => sum + text.length, body?.length ?? 0)
}

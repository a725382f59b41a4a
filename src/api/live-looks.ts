import type { Clock } from '../lib/clock.ts'
import type { Backend } from './backend.ts'
import { type LiveBody, toLiveBody } from './schemas/live.ts'

/** Readers who look within this time share one look. */
const FRESH_MS = 100

/** Looks at the service for all who read it as it goes: with many workers it is the writing as JSON that costs. */
export class LiveLooks {
  readonly #backend: Pick<Backend, 'live' | 'mode'>
  readonly #clock: Clock
  #latest: { readonly look: LiveLook; readonly at: number } | undefined

  constructor(backend: Pick<Backend, 'live' | 'mode'>, clock: Clock) {
    this.#backend = backend
    this.#clock = clock
  }

  now(): LiveLook {
    const at = this.#clock.monotonic()
    if (this.#latest === undefined || at - this.#latest.at >= FRESH_MS) {
      this.#latest = { at, look: new LiveLook(toLiveBody(this.#backend.live(), this.#backend.mode())) }
    }
    return this.#latest.look
  }
}

/** The service at one moment. */
export class LiveLook {
  readonly #body: LiveBody
  /** By id, as JSON. */
  readonly #workers: ReadonlyMap<string, string>
  readonly #problems: string
  #whole: string | undefined

  constructor(body: LiveBody) {
    this.#body = body
    this.#workers = new Map(body.workers.map((worker) => [worker.id, JSON.stringify(worker)]))
    this.#problems = JSON.stringify(body.problems)
  }

  /** A `LiveBody` as JSON. */
  get whole(): string {
    this.#whole ??= JSON.stringify(this.#body)
    return this.#whole
  }

  /** A `LiveChangeBody` as JSON: what is another than in the earlier look. */
  changesSince(earlier: LiveLook): string {
    const { at, pool, series, requests, requests_total } = this.#body
    const newestThen = earlier.#body.series.at(-1)?.at ?? ''
    const fields: Record<string, string> = {
      at: JSON.stringify(at),
      pool: JSON.stringify(pool),
      series: JSON.stringify(series.filter((point) => point.at >= newestThen)),
      ...(this.#problems !== earlier.#problems && { problems: this.#problems }),
      workers: `[${[...this.#workers].flatMap(([id, text]) => (earlier.#workers.get(id) === text ? [] : [text]))}]`,
      removed: JSON.stringify([...earlier.#workers.keys()].filter((id) => !this.#workers.has(id))),
      requests: JSON.stringify(requests),
      requests_total: String(requests_total),
    }
    return `{${Object.entries(fields).map(([name, text]) => `"${name}":${text}`)}}`
  }
}

import { Counter, type CounterConfiguration, Gauge, Histogram, type Metric, type Registry } from 'prom-client'

/** Makes the instruments of one registry, all of them with our prefix. */
export class Instruments {
  readonly #registry: Registry
  /** How far what others count has been counted here, by instrument and labels. */
  readonly #seen = new WeakMap<Counter<string>, Map<string, number>>()

  constructor(registry: Registry) {
    this.#registry = registry
  }

  counter<const L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    collect?: (counter: Counter<L>) => void,
  ): Counter<L> {
    const options: CounterConfiguration<L> = { name: `cbtor_${name}`, help, labelNames, registers: [this.#registry] }
    if (collect === undefined) return new Counter(options)
    return new Counter({
      ...options,
      collect() {
        collect(this)
      },
    })
  }

  gauge<const L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    collect?: (gauge: Gauge<L>) => void,
  ): Gauge<L> {
    const options = { name: `cbtor_${name}`, help, labelNames, registers: [this.#registry] }
    if (collect === undefined) return new Gauge(options)
    return new Gauge({
      ...options,
      collect() {
        // What is gone by the time of a scrape is not told any more.
        this.reset()
        collect(this)
      },
    })
  }

  histogram<const L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    buckets: readonly number[],
  ): Histogram<L> {
    return new Histogram({
      ...{ name: `cbtor_${name}`, help, labelNames },
      buckets: [...buckets],
      registers: [this.#registry],
    })
  }

  /** Brings a counter up to what somebody else has counted, who may begin anew. */
  follow<L extends string>(counter: Counter<L>, labels: Record<L, string>, total: number): void {
    const key = JSON.stringify(labels)
    const seen = this.#seen.get(counter) ?? new Map<string, number>()
    this.#seen.set(counter, seen)
    const last = seen.get(key) ?? 0
    seen.set(key, total)
    counter.inc(labels, total < last ? total : total - last)
  }

  /** Nothing is told of the worker any more. */
  async forgetWorker(worker: string): Promise<void> {
    for (const metric of this.#registry.getMetricsAsArray() as unknown as Metric[]) {
      if (!(metric instanceof Counter || metric instanceof Gauge || metric instanceof Histogram)) continue
      const { values } = await metric.get()
      for (const { labels } of values) {
        const { le: _le, ...own } = labels as Record<string, string>
        if (own.worker !== worker) continue
        metric.remove(own)
        if (metric instanceof Counter) this.#seen.get(metric)?.delete(JSON.stringify(own))
      }
    }
  }
}

import type { Counter, Gauge, Histogram } from 'prom-client'
import type { Mode, Timing } from '../domain/exchange.ts'
import type { BegunRequest, RequestProgress, RequestWatch } from '../domain/request-watch.ts'
import type { Exit } from '../domain/worker.ts'
import type { Instruments } from './instruments.ts'

/** Through Tor: from a kept connection up to the longest `timeout_ms`. */
const DURATION_BUCKETS_S = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300]
const PHASE_BUCKETS_S = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

const PHASES = {
  queueMs: 'queue',
  connectMs: 'connect',
  tlsMs: 'tls',
  firstByteMs: 'first_byte',
  bodyMs: 'body',
} as const

/** Requests to targets: how many, how they went, and how long they took. */
export class RequestMetrics implements RequestWatch {
  readonly #mode: () => Mode
  readonly #requests: Counter<'worker' | 'route' | 'mode' | 'outcome'>
  readonly #underWay: Gauge<'route'>
  readonly #durations: Histogram<'route' | 'outcome'>
  readonly #phases: Histogram<'phase'>
  readonly #attempts: Counter<'worker' | 'outcome'>
  readonly #broken: Counter<'route' | 'outcome'>
  readonly #tunnels: Gauge<'worker'>
  readonly #exits: Counter<'country'>

  /** `mode`: the pool's, of requests that wish for none. */
  constructor(make: Instruments, mode: () => Mode) {
    this.#mode = mode
    this.#requests = make.counter(
      'requests_total',
      'Requests to targets that were answered or failed, by the worker that ended them, the door they came by, the mode and the outcome.',
      ['worker', 'route', 'mode', 'outcome'],
    )
    this.#underWay = make.gauge('requests_under_way', 'Requests to targets that go on, tunnels that stand included.', [
      'route',
    ])
    this.#durations = make.histogram(
      'request_duration_seconds',
      'From the begin of a request until it was answered (whole, or to the first byte where its body is passed on, or until a tunnel stood) or had failed, all tries included.',
      ['route', 'outcome'],
      DURATION_BUCKETS_S,
    )
    this.#phases = make.histogram(
      'request_phase_seconds',
      'Phases of fetches that were answered: queue, connect, tls, first_byte, body. What a kept connection spared is not counted.',
      ['phase'],
      PHASE_BUCKETS_S,
    )
    this.#attempts = make.counter('attempts_total', 'Tries of requests on a worker.', ['worker', 'outcome'])
    this.#broken = make.counter(
      'requests_broken_off_total',
      'Requests that were answered, and whose body or tunnel ended by a fault or with its client.',
      ['route', 'outcome'],
    )
    this.#tunnels = make.gauge('tunnels_open', 'Tunnels of proxy clients that stand.', ['worker'])
    this.#exits = make.counter(
      'exits_total',
      "Streams to targets by the country of their exit, by Tor's own GeoIP database; empty where that does not know it.",
      ['country'],
    )
  }

  begun(request: BegunRequest): RequestProgress {
    const route = routeOf(request)
    const mode = request.mode ?? this.#mode()
    let tunnelOn: string | undefined
    let isAnswered = false
    this.#underWay.inc({ route })
    return {
      answered: ({ worker, attempts, timing }, ms) => {
        isAnswered = true
        this.#requests.inc({ worker, route, mode, outcome: 'ok' })
        this.#durations.observe({ route, outcome: 'ok' }, ms / 1_000)
        for (const { worker: tried, outcome } of attempts) this.#attempts.inc({ worker: tried, outcome })
        if (timing !== undefined) this.#observePhases(timing)
        if (request.kind !== 'tunnel') return
        tunnelOn = worker
        this.#tunnels.inc({ worker })
      },
      ended: ({ worker = '', outcome, attempts, ms }) => {
        this.#underWay.dec({ route })
        if (tunnelOn !== undefined) this.#tunnels.dec({ worker: tunnelOn })
        if (isAnswered) {
          if (outcome !== 'ok') this.#broken.inc({ route, outcome })
          return
        }
        this.#requests.inc({ worker, route, mode, outcome })
        this.#durations.observe({ route, outcome: outcome === 'ok' ? 'ok' : 'failed' }, ms / 1_000)
        for (const { worker: tried, outcome: how } of attempts) this.#attempts.inc({ worker: tried, outcome: how })
      },
    }
  }

  /** A stream leaves Tor there. */
  exitUsed({ country = '' }: Exit): void {
    this.#exits.inc({ country })
  }

  #observePhases(timing: Partial<Timing>): void {
    for (const [field, phase] of Object.entries(PHASES) as [keyof typeof PHASES, string][]) {
      const ms = timing[field]
      const isSpared = ms === 0 && (field === 'connectMs' || field === 'tlsMs')
      if (ms !== undefined && !isSpared) this.#phases.observe({ phase }, ms / 1_000)
    }
  }
}

/** The door, and what it is used for where that is not one thing: a few words in all. */
function routeOf({ door, kind }: BegunRequest): string {
  if (door === undefined) return kind
  if (door === 'http' && kind === 'tunnel') return 'http_connect'
  if (door === 'socks' && kind === 'resolve') return 'socks_resolve'
  return door
}

import type { Attempt, Timing } from '../domain/exchange.ts'
import type {
  AnsweredRequest,
  BegunRequest,
  EndedRequest,
  RequestProgress,
  RequestWatch,
} from '../domain/request-watch.ts'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { Span } from './span.ts'
import type { TracesConfig } from './traces-config.ts'

export interface RequestSpansOptions {
  readonly clock: Clock
  readonly random: Pick<Random, 'bytes' | 'float'>
  readonly sampler: TracesConfig['sampler']
  /** Takes what is to be sent. Must not throw. */
  add(span: Span): void
}

const TRACE_BYTES = 16
const SPAN_BYTES = 8

/** In the order in which they come. */
const PHASES = [
  ['connectMs', 'connect'],
  ['tlsMs', 'tls'],
  ['firstByteMs', 'first byte'],
  ['bodyMs', 'body'],
] as const

/**
 * Makes a span of each request to a target, with one for each try and each phase of it. They have workers, codes and times; never a
 * target, a key or a sticky key.
 */
export class RequestSpans implements RequestWatch {
  readonly #options: RequestSpansOptions

  constructor(options: RequestSpansOptions) {
    this.#options = options
  }

  begun(request: BegunRequest): RequestProgress {
    if (!this.#isKept(request.parent)) return { ended() {} }
    const { clock, random } = this.#options
    const startAt = clock.now()
    const begins: { readonly worker: string; readonly at: number }[] = []
    let answered: (AnsweredRequest & { readonly at: number }) | undefined
    return {
      triedOn: (worker) => void begins.push({ worker, at: clock.now() }),
      answered: (answer, ms) => {
        answered = { ...answer, at: startAt + ms }
      },
      ended: (end) => {
        const traceId = request.parent?.traceId ?? random.bytes(TRACE_BYTES).toString('hex')
        const root = this.#root(request, traceId, startAt, end)
        const add = (name: string, from: number, to: number, rest: Partial<Span> = {}) =>
          this.#options.add({
            ...{ traceId, name, spanId: this.#spanId(), parentSpanId: root.spanId, kind: 'internal' },
            ...{ startAt: from, endAt: to, attributes: {}, error: undefined },
            ...rest,
          })
        this.#options.add(root)
        for (const { at, worker, outcome, ms } of placed(end.attempts, begins)) {
          const error = outcome === 'ok' || outcome === 'hedge_lost' ? undefined : outcome
          add('attempt', at, at + ms, { attributes: { 'cbtor.worker': worker, 'cbtor.outcome': outcome }, error })
        }
        const queueMs = answered?.timing?.queueMs ?? (begins[0]?.at ?? root.endAt) - startAt
        if (queueMs >= 1) add('queue', startAt, startAt + queueMs)
        if (answered === undefined) return
        for (const { name, from, to } of phasesBefore(answered.at, answered.timing)) add(name, from, to)
        if (root.endAt - answered.at >= 1) add(request.kind === 'tunnel' ? 'tunnel' : 'body', answered.at, root.endAt)
      },
    }
  }

  #root(
    request: BegunRequest,
    traceId: string,
    startAt: number,
    { outcome, worker, attempts, status, ms }: EndedRequest,
  ): Span {
    const { kind, door, mode, isOnion, parent } = request
    return {
      ...{ traceId, spanId: this.#spanId(), parentSpanId: parent?.spanId, name: kind, kind: 'server' },
      ...{ startAt, endAt: startAt + ms },
      attributes: {
        'cbtor.class': isOnion ? 'onion' : 'clear',
        'cbtor.outcome': outcome,
        'cbtor.attempts': attempts.length,
        ...(door !== undefined && { 'cbtor.route': door }),
        ...(mode !== undefined && { 'cbtor.mode': mode }),
        ...(worker !== undefined && { 'cbtor.worker': worker }),
        ...(status !== undefined && { 'http.response.status_code': status }),
      },
      error: outcome === 'ok' ? undefined : outcome,
    }
  }

  #isKept(parent: BegunRequest['parent']): boolean {
    const { sampler, random } = this.#options
    if (parent !== undefined && sampler.isParentBased) return parent.isSampled
    return sampler.ratio >= 1 || (sampler.ratio > 0 && random.float() < sampler.ratio)
  }

  #spanId(): string {
    return this.#options.random.bytes(SPAN_BYTES).toString('hex')
  }
}

/** The tries with when each began: a worker that was tried twice began twice. */
function placed(attempts: readonly Attempt[], begins: readonly { readonly worker: string; readonly at: number }[]) {
  const left = [...begins]
  return attempts.flatMap((attempt) => {
    const index = left.findIndex(({ worker }) => worker === attempt.worker)
    const [begin] = index === -1 ? [] : left.splice(index, 1)
    return begin === undefined ? [] : [{ ...attempt, at: begin.at }]
  })
}

/** The phases of the exchange that gave the answer, which end with it. What took no time is left out. */
function phasesBefore(answeredAt: number, timing: Partial<Timing> = {}) {
  let to = answeredAt
  return PHASES.toReversed().flatMap(([field, name]) => {
    const ms = timing[field] ?? 0
    const from = to - ms
    const phase = ms > 0 ? [{ name, from, to }] : []
    to = from
    return phase
  })
}

import type { FetchAnswerBody, ProblemBody } from '../../api/bodies.ts'

type Timing = FetchAnswerBody['receipt']['timing'] | NonNullable<ProblemBody['receipt']>['timing']

/** A part of the time that a fetch took. */
export interface Span {
  readonly name: string
  /** What happened in it. */
  readonly about: string
  readonly fromMs: number
  readonly ms: number
  readonly kind: 'earlier' | 'queue' | 'circuit' | 'tls' | 'wait' | 'body' | 'lost'
}

/** Below this, two sums of rounded figures are the same. */
const NOISE_MS = 1

/**
 * The parts of a receipt's time, one behind the other; TLS only where there was any. The parts are of the exchange that answered; what is left of the total went
 * before it, into other tries and redirects, or, when nothing answered, behind what is known.
 */
export function spansOf(timing: Timing, { isAnswered }: { readonly isAnswered: boolean }): readonly Span[] {
  const parts = [
    { name: 'Queue', about: 'waiting for a worker', ms: timing.queue_ms, kind: 'queue' },
    { name: 'Circuit', about: 'the stream through Tor', ms: timing.connect_ms, kind: 'circuit' },
    { name: 'TLS', about: 'with the target', ms: timing.tls_ms, kind: 'tls' },
    { name: 'First byte', about: 'the target thinks', ms: timing.first_byte_ms, kind: 'wait' },
    { name: 'Body', about: 'the rest of the answer', ms: timing.body_ms, kind: 'body' },
  ] as const
  const known = parts.flatMap((part) =>
    part.ms === undefined || (part.kind === 'tls' && part.ms === 0) ? [] : [{ ...part, ms: part.ms }],
  )
  const rest = timing.total_ms - known.reduce((sum, { ms }) => sum + ms, 0)
  const isMore = rest > Math.max(NOISE_MS, timing.total_ms / 100)
  const [queue, ...others] = known
  const all: Omit<Span, 'fromMs'>[] = [...(queue ? [queue] : [])]
  if (isMore && isAnswered) all.push({ name: 'Before', about: 'other tries and redirects', ms: rest, kind: 'earlier' })
  all.push(...others)
  if (isMore && !isAnswered) all.push({ name: 'Lost', about: 'tries that came to nothing', ms: rest, kind: 'lost' })
  let fromMs = 0
  return all.map((span) => {
    const placed = { ...span, fromMs }
    fromMs += span.ms
    return placed
  })
}

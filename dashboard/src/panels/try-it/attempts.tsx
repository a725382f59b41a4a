import type { FetchAnswerBody } from '../../api/bodies.ts'
import { Badge } from '../../ui/badge.tsx'
import { inWords, latency } from '../../ui/text.ts'
import { WorkerLink } from '../worker-link.tsx'

type Receipt = FetchAnswerBody['receipt']

interface AttemptsProps {
  readonly attempts: Receipt['attempts']
  readonly redirects: Receipt['redirects']
}

/** Each try on a worker, and each redirect; nothing for the usual case of one try. */
export function Attempts({ attempts, redirects }: AttemptsProps) {
  const isUsual = attempts.length === 1 && attempts[0]?.outcome === 'ok'
  return (
    <>
      {!isUsual && attempts.length > 0 && (
        <ol class="attempts" aria-label="Tries">
          {attempts.map(({ worker, outcome, ms }, n) => (
            <li key={n}>
              <span class="muted number">{n + 1}.</span> <WorkerLink id={worker} />{' '}
              <Badge tone={outcome === 'ok' ? 'ok' : outcome === 'hedge_lost' ? 'idle' : 'bad'}>
                {outcome === 'ok' ? 'answered' : inWords(outcome)}
              </Badge>{' '}
              <span class="number">{latency(ms)}</span>
            </li>
          ))}
        </ol>
      )}
      {redirects.length > 0 && (
        <ol class="attempts" aria-label="Redirects">
          {redirects.map(({ status, from, to }, n) => (
            <li key={n}>
              <Badge tone="info">{status}</Badge> <code>{from}</code> → <code>{to}</code>
            </li>
          ))}
        </ol>
      )}
    </>
  )
}

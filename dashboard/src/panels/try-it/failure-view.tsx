import type { ProblemBody } from '../../api/bodies.ts'
import { Badge } from '../../ui/badge.tsx'
import { Panel } from '../../ui/panel.tsx'
import { latency } from '../../ui/text.ts'
import { Attempts } from './attempts.tsx'
import { spansOf } from './timeline.ts'
import { Timeline } from './timeline-view.tsx'

/** What to do, by whose doing it is. */
const ADVICE: Readonly<Record<ProblemBody['fault'], string>> = {
  caller: 'Change the request: nothing was sent.',
  policy: 'The service, or your key, does not let this through. Who runs the service can change that.',
  service: 'Ask who runs the service: its events and problems say more.',
  worker: 'The pool mends its workers by itself; the section Workers shows how far it is.',
  tor: 'Tor could not do it. Another try takes other circuits.',
  onion: 'The onion service does not answer as it should. It may be down; a job goes on trying for hours.',
  target: 'The target answered badly, or not at all. It is not the doing of Tor or of this service.',
}

export function FailureView({ problem }: { readonly problem: ProblemBody }) {
  const { title, detail, code, fault, retryable, status, attempts = [], redirects = [], receipt, errors = [] } = problem
  return (
    <>
      <Panel title={title} note={`status ${status}`} actions={<Badge tone="bad" icon="bad">{`fault: ${fault}`}</Badge>}>
        <div class="failure" role="alert">
          <p class="failure-detail">{detail}.</p>
          {errors.length > 0 && (
            <ul>
              {errors.map(({ path, message }) => (
                <li key={path}>
                  <code>{path}</code> {message}
                </li>
              ))}
            </ul>
          )}
          <p>
            {ADVICE[fault]} {retryable ? 'The same request may succeed later.' : 'The same request will fail again.'}
          </p>
          <p class="muted">
            Code{' '}
            <a href={`/problems/${code}`}>
              <code>{code}</code>
            </a>
            , request <code>{problem.request_id}</code>
          </p>
        </div>
      </Panel>
      {receipt && (
        <Panel title="How far it came" note={`${latency(receipt.timing.total_ms)} in all`}>
          <Timeline spans={spansOf(receipt.timing, { isAnswered: false })} totalMs={receipt.timing.total_ms} />
          <Attempts attempts={attempts} redirects={redirects} />
        </Panel>
      )}
    </>
  )
}

import type { FetchAnswerBody } from '../../api/bodies.ts'
import { Badge } from '../../ui/badge.tsx'
import { Panel } from '../../ui/panel.tsx'
import { bytes, latency } from '../../ui/text.ts'
import { BodyView } from '../body-view.tsx'
import { Attempts } from './attempts.tsx'
import { RouteDrawing } from './route-drawing.tsx'
import { spansOf } from './timeline.ts'
import { Timeline } from './timeline-view.tsx'

export function AnswerView({ answer }: { readonly answer: FetchAnswerBody }) {
  const { status, status_text: reason, headers, body, body_encoding: encoding, url, receipt } = answer
  const { timing, bytes: sizes, attempts, redirects } = receipt
  const tone = status < 300 ? 'ok' : status < 400 ? 'info' : status < 500 ? 'warn' : 'bad'
  const notes = [
    receipt.connection_reused && 'on a connection that was kept',
    receipt.session_moved && 'the session moved',
    receipt.hedged && 'a second worker was asked, too',
  ].filter((note) => note !== false)
  return (
    <>
      <Panel title="Route" note={notes.join(', ')}>
        <RouteDrawing answer={answer} />
      </Panel>
      <Panel title="Receipt" note={`${latency(timing.total_ms)} in all`}>
        <Timeline spans={spansOf(timing, { isAnswered: true })} totalMs={timing.total_ms} />
        <Attempts attempts={attempts} redirects={redirects} />
        <p class="muted">
          Identity: {receipt.identity}. {bytes(sizes.sent)} sent, {bytes(sizes.received)} received,{' '}
          {bytes(sizes.decoded)} of body.
        </p>
      </Panel>
      <Panel
        title="Answer"
        note={<code>{url}</code>}
        actions={
          <Badge tone={tone}>
            {status} {reason}
          </Badge>
        }
      >
        <details class="headers">
          <summary>Headers ({Object.keys(headers).length})</summary>
          <dl>
            {Object.entries(headers).flatMap(([name, value]) =>
              [value].flat().map((each, n) => (
                <div key={`${name} ${n}`}>
                  <dt>{name}</dt>
                  <dd>{each}</dd>
                </div>
              )),
            )}
          </dl>
        </details>
        <BodyView {...{ url, body, encoding }} size={sizes.decoded} isTruncated={receipt.truncated} />
      </Panel>
    </>
  )
}

import type { JobBody } from '../api/bodies.ts'
import { usePage } from '../context.ts'
import { Badge } from '../ui/badge.tsx'
import { Button } from '../ui/button.tsx'
import { counted } from '../ui/text.ts'

interface JobProps {
  readonly job: JobBody
}

export function JobState({ job: { state, counts } }: JobProps) {
  if (state === 'running') return <Badge tone="info">running</Badge>
  if (state === 'cancelled') return <Badge tone="idle">cancelled</Badge>
  if (counts.failed === 0) return <Badge tone="ok">done</Badge>
  return <Badge tone={counts.done === 0 ? 'bad' : 'warn'}>{`done, ${counts.failed} failed`}</Badge>
}

/** How many of its fetches have ended, and how: a bar with the same in words. */
export function JobProgress({ job: { fetches, counts } }: JobProps) {
  const { done, failed, cancelled, running, waiting } = counts
  const said = [
    `${done} of ${fetches} done`,
    failed > 0 && `${failed} failed`,
    cancelled > 0 && `${cancelled} cancelled`,
    running > 0 && `${running} running`,
    waiting > 0 && `${waiting} waiting`,
  ]
  const text = said.filter(Boolean).join(', ')
  return (
    <span class="job-progress" title={text}>
      <svg viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label={text}>
        <rect class="bar-rest" width="100" height="8" />
        <rect class="bar-ok" width={(100 * done) / fetches} height="8" />
        <rect class="bar-bad" x={(100 * done) / fetches} width={(100 * failed) / fetches} height="8" />
        <rect class="bar-idle" x={(100 * (done + failed)) / fetches} width={(100 * cancelled) / fetches} height="8" />
      </svg>
      <span class="number">
        {done + failed + cancelled}/{fetches}
      </span>
    </span>
  )
}

interface JobActionsProps extends JobProps {
  readonly onDone: () => void
}

export function JobActions({ job: { id, name, state, counts }, onDone }: JobActionsProps) {
  const { api } = usePage()
  const path = `/api/v1/jobs/${encodeURIComponent(id)}`
  const called = name ?? id
  return (
    <div class="row-actions">
      {state === 'running' ? (
        <Button
          icon="stop"
          kind="danger"
          label={`Cancel ${called}`}
          confirm={{
            title: `Cancel the job ${called}?`,
            text: `${counted(counts.waiting + counts.running, 'fetch', 'fetches')} will not be done. What has come back stays.`,
            action: 'Cancel job',
          }}
          done={`The job ${called} is cancelled.`}
          onPress={() => api.post(`${path}/cancel`).then(onDone)}
        >
          Cancel
        </Button>
      ) : (
        <Button
          icon="close"
          kind="danger"
          label={`Remove ${called}`}
          confirm={{
            title: `Remove the job ${called}?`,
            text: 'Its results are removed with it, and cannot be had again.',
            action: 'Remove',
          }}
          done={`The job ${called} is removed.`}
          onPress={() => api.remove(path).then(onDone)}
        >
          Remove
        </Button>
      )}
    </div>
  )
}

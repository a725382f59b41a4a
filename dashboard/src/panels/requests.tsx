import { useState } from 'preact/hooks'
import type { RequestsBody } from '../api/bodies.ts'
import { useLive, useReasonAgainst } from '../context.ts'
import { Badge } from '../ui/badge.tsx'
import { EmptyState, ErrorNote, Skeleton } from '../ui/notes.tsx'
import { Panel } from '../ui/panel.tsx'
import { type Column, Table } from '../ui/table.tsx'
import { Since } from '../ui/time.tsx'
import { useResource } from '../ui/use-resource.ts'
import { NeedsScope } from './needs-scope.tsx'
import { WorkerLink } from './worker-link.tsx'

type LiveRequest = RequestsBody['requests'][number]

const TARGETS_EVERY_MS = 2_000

export function Requests() {
  return (
    <NeedsScope
      scope="workers:read"
      title="Live requests"
      shows="Here are the requests under way, without their targets."
    >
      <RequestList />
    </NeedsScope>
  )
}

function RequestList() {
  const view = useLive(({ view }) => view)
  const [isTold, setTold] = useState(false)
  const reason = useReasonAgainst('admin')
  const told = useResource<RequestsBody>(isTold ? '/api/v1/requests?targets=true' : undefined, {
    everyMs: TARGETS_EVERY_MS,
  })
  if (view === undefined)
    return (
      <Panel title="Live requests">
        <Skeleton lines={6} />
      </Panel>
    )
  const rows: readonly LiveRequest[] = (isTold ? told.data?.requests : view.requests) ?? []
  const total = isTold && told.data ? told.data.total : view.requestsTotal
  return (
    <Panel
      title="Live requests"
      note={total > rows.length ? `${total} under way, the oldest ${rows.length} shown` : `${total} under way`}
      flush
      actions={
        <label class="switch" title={reason}>
          <input
            type="checkbox"
            aria-disabled={reason !== undefined}
            aria-describedby="targets-note"
            checked={isTold}
            onClick={(event) => reason !== undefined && event.preventDefault()}
            onChange={({ currentTarget }) => setTold(currentTarget.checked)}
          />
          <span>Show targets</span>
        </label>
      }
    >
      <p id="targets-note" class="panel-text">
        {reason !== undefined
          ? `Hosts of targets are not shown: ${lowerFirst(reason)}.`
          : isTold
            ? 'Hosts that all callers reach now are on this screen. They are kept nowhere, and gone when you leave this section.'
            : 'Hosts of targets are not asked for until you switch them on: they tell what the callers do.'}
      </p>
      {told.error ? <ErrorNote error={told.error} onRetry={told.reload} /> : null}
      <Table
        label="Requests under way"
        columns={isTold ? [...COLUMNS.slice(0, 2), TARGET, ...COLUMNS.slice(2)] : COLUMNS}
        rows={rows}
        keyOf={({ id }) => id}
        empty={<EmptyState icon="requests" title="No request is under way." />}
      />
    </Panel>
  )
}

const COLUMNS: readonly Column<LiveRequest>[] = [
  { head: 'No.', cell: ({ id }) => id, isNumber: true },
  { head: 'Kind', cell: ({ kind }) => kind },
  {
    head: 'Target',
    cell: ({ class: kind }) => <Badge tone="idle">{kind === 'onion' ? 'onion service' : 'clearnet'}</Badge>,
  },
  { head: 'Port', cell: ({ port }) => port ?? '–', isNumber: true },
  { head: 'Key', cell: ({ key }) => (key === null ? '–' : <code>{key}</code>) },
  {
    head: 'Worker',
    cell: ({ worker }) => (worker === null ? <span class="muted">waits</span> : <WorkerLink id={worker} />),
  },
  { head: 'For', cell: ({ started_at }) => <Since at={started_at} />, isNumber: true },
]

const TARGET: Column<LiveRequest> = { head: 'Host', cell: ({ host }) => <code>{host ?? '–'}</code>, isWide: true }

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}

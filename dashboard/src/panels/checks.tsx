import { useState } from 'preact/hooks'
import type { EndpointsBody } from '../api/bodies.ts'
import { Badge } from '../ui/badge.tsx'
import { EmptyState, ErrorNote, Skeleton } from '../ui/notes.tsx'
import { Panel } from '../ui/panel.tsx'
import { Sparkline } from '../ui/sparkline.tsx'
import { type Column, Table } from '../ui/table.tsx'
import { counted, latency, percent } from '../ui/text.ts'
import { TimeAgo } from '../ui/time.tsx'
import { useResource } from '../ui/use-resource.ts'
import { NeedsScope } from './needs-scope.tsx'
import { WorkerLink } from './worker-link.tsx'

type Endpoint = EndpointsBody['endpoints'][number]
type OfWorker = Endpoint['workers'][number]

const EVERY_MS = 5_000

export function Checks() {
  return (
    <NeedsScope scope="workers:read" title="Checks" shows="Here are the pages that workers are checked with.">
      <CheckList />
    </NeedsScope>
  )
}

function CheckList() {
  const { data, error, reload } = useResource<EndpointsBody>('/api/v1/endpoints', { everyMs: EVERY_MS })
  if (data === undefined)
    return <Panel title="Checks">{error ? <ErrorNote error={error} onRetry={reload} /> : <Skeleton lines={8} />}</Panel>
  if (data.endpoints.length === 0)
    return (
      <Panel title="Checks">
        <EmptyState icon="checks" title="No check endpoint is configured.">
          Workers are judged by their pulse and by live requests alone. The field <code>checks</code> of the
          configuration names pages to check them with.
        </EmptyState>
      </Panel>
    )
  return (
    <div class="checks">
      {error ? <ErrorNote error={error} onRetry={reload} /> : null}
      {data.endpoints.map((endpoint) => (
        <EndpointPanel key={endpoint.url} endpoint={endpoint} />
      ))}
    </div>
  )
}

function EndpointPanel({ endpoint }: { readonly endpoint: Endpoint }) {
  const { name, url, kind, attempts, failures, latency_ms: percentiles, series, workers } = endpoint
  const [isOpen, setOpen] = useState(false)
  const latest = series.at(-1)
  const trend = `Mean latency of the last half hour, lately ${latency(latest?.mean_ms)}`
  return (
    <Panel
      title={name}
      note={<code class="endpoint-url">{url}</code>}
      actions={<Badge tone="idle">{kind === 'onion' ? 'onion service' : 'clearnet'}</Badge>}
    >
      <dl class="readings">
        <Fact name="p50">{latency(percentiles?.p50)}</Fact>
        <Fact name="p95">{latency(percentiles?.p95)}</Fact>
        <Fact name="passed">{attempts === 0 ? '–' : percent(endpoint.successes / attempts)}</Fact>
        <Fact name="checks">{attempts}</Fact>
        <Fact name="last success">
          {endpoint.last_success_at ? <TimeAgo at={endpoint.last_success_at} /> : 'never'}
        </Fact>
        <div class="reading-wide">
          <dt>mean latency, half an hour</dt>
          <dd>
            {series.length > 1 ? (
              <Sparkline values={series.map(({ mean_ms }) => mean_ms)} label={trend} width={240} height={32} />
            ) : (
              <span class="muted">not yet</span>
            )}
          </dd>
        </div>
      </dl>
      {endpoint.last_error !== null && failures > 0 && (
        <p class="last-error">
          <span class="muted">{counted(failures, 'failure')}, the last:</span> {endpoint.last_error}
        </p>
      )}
      {workers.length > 0 && (
        <details class="by-worker" open={isOpen} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
          <summary>By worker ({workers.length})</summary>
          {isOpen && (
            <Table
              label={`Checks of ${name} by worker`}
              columns={COLUMNS}
              rows={workers}
              keyOf={({ worker }) => worker}
              empty={null}
            />
          )}
        </details>
      )}
    </Panel>
  )
}

const COLUMNS: readonly Column<OfWorker>[] = [
  { head: 'Worker', cell: ({ worker }) => <WorkerLink id={worker} /> },
  { head: 'Checks', cell: ({ attempts }) => attempts, isNumber: true },
  { head: 'Failures', cell: ({ failures }) => failures, isNumber: true },
  { head: 'p50', cell: ({ latency_ms: ms }) => latency(ms?.p50), isNumber: true },
  { head: 'p95', cell: ({ latency_ms: ms }) => latency(ms?.p95), isNumber: true },
  { head: 'Last success', cell: ({ last_success_at: at }) => (at ? <TimeAgo at={at} /> : 'never') },
  { head: 'Last error', cell: ({ last_error }) => last_error ?? '', isWide: true },
]

function Fact({ name, children }: { readonly name: string; readonly children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="number">{children}</dd>
    </div>
  )
}

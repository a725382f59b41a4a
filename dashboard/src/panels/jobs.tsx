import type { JobBody, JobsBody } from '../api/bodies.ts'
import { usePage } from '../context.ts'
import { linkTo } from '../routing/route.ts'
import { Button } from '../ui/button.tsx'
import { EmptyState, ErrorNote, Skeleton } from '../ui/notes.tsx'
import { Panel } from '../ui/panel.tsx'
import { type Column, Table } from '../ui/table.tsx'
import { TimeAgo } from '../ui/time.tsx'
import { JobActions, JobProgress, JobState } from './job-parts.tsx'
import { JobView } from './job-view.tsx'
import { NeedsScope } from './needs-scope.tsx'
import { usePages } from './use-pages.ts'

const EVERY_MS = 3_000

export function Jobs({ rest: [id] }: { readonly rest: readonly string[] }) {
  return (
    <NeedsScope
      scope="fetch"
      title="Jobs"
      shows="Here are the jobs of the key, how far they have come, and what came back."
    >
      {id === undefined ? <JobList /> : <JobView key={id} id={id} />}
    </NeedsScope>
  )
}

function JobList() {
  const { caller } = usePage()
  const isAdmin = caller.scopes.includes('admin')
  const { items, error, hasMore, loadMore, reload } = usePages<JobBody>(`/api/v1/jobs${isAdmin ? '?owner=*' : ''}`, {
    pick: (body: JobsBody) => ({ items: body.jobs, next: body.next_cursor }),
    everyMs: EVERY_MS,
  })
  const columns: Column<JobBody>[] = [
    {
      head: 'Job',
      cell: ({ id, name }) => (
        <a href={linkTo('jobs', id)} title={id}>
          {name ?? id}
        </a>
      ),
      isWide: true,
    },
    ...(isAdmin ? [{ head: 'Owner', cell: ({ owner }: JobBody) => <code>{owner}</code> }] : []),
    { head: 'State', cell: (job) => <JobState job={job} /> },
    { head: 'Progress', cell: (job) => <JobProgress job={job} /> },
    { head: 'Fetches', cell: ({ fetches }) => fetches, isNumber: true },
    { head: 'Began', cell: ({ created_at }) => <TimeAgo at={created_at} /> },
    { head: 'Actions', isHeadHidden: true, cell: (job) => <JobActions job={job} onDone={reload} /> },
  ]
  if (items === undefined)
    return <Panel title="Jobs">{error ? <ErrorNote error={error} onRetry={reload} /> : <Skeleton lines={6} />}</Panel>
  return (
    <Panel title="Jobs" note={isAdmin ? 'of all keys, the newest first' : 'the newest first'} flush>
      {error ? <ErrorNote error={error} onRetry={reload} /> : null}
      <Table
        label="Jobs, the newest first"
        columns={columns}
        rows={items}
        keyOf={({ id }) => id}
        empty={
          <EmptyState icon="jobs" title="There is no job.">
            Jobs are fetches that may take hours, for onion services that are slow or down.{' '}
            <code>cbtor jobs submit</code> or <code>POST /api/v1/jobs</code> makes one.
          </EmptyState>
        }
      />
      {hasMore && (
        <p class="more">
          <Button onPress={loadMore}>Show more</Button>
        </p>
      )}
    </Panel>
  )
}

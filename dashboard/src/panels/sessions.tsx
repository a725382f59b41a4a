import { useState } from 'preact/hooks'
import type { SessionBody, SessionsBody } from '../api/bodies.ts'
import { usePage } from '../context.ts'
import { Button } from '../ui/button.tsx'
import { Country } from '../ui/country.tsx'
import { Icon } from '../ui/icon.tsx'
import { EmptyState, ErrorNote, Skeleton } from '../ui/notes.tsx'
import { Panel } from '../ui/panel.tsx'
import { type Column, Table } from '../ui/table.tsx'
import { counted } from '../ui/text.ts'
import { Countdown, TimeAgo } from '../ui/time.tsx'
import { useResource } from '../ui/use-resource.ts'
import { NeedsScope } from './needs-scope.tsx'
import { WorkerLink } from './worker-link.tsx'

const EVERY_MS = 3_000
const SHOWN = 100

export function Sessions() {
  return (
    <NeedsScope
      scope="sessions"
      title="Sessions"
      shows="Here are the sticky keys in use, each with its worker and its exit."
    >
      <SessionList />
    </NeedsScope>
  )
}

function SessionList() {
  const { api, caller } = usePage()
  const { data, error, reload } = useResource<SessionsBody>('/api/v1/sessions', { everyMs: EVERY_MS })
  const [search, setSearch] = useState('')
  const [limit, setLimit] = useState(SHOWN)
  if (data === undefined)
    return (
      <Panel title="Sessions">{error ? <ErrorNote error={error} onRetry={reload} /> : <Skeleton lines={6} />}</Panel>
    )

  const found = data.sessions.filter((session) => isFound(session, search.trim().toLowerCase()))
  const isAdmin = caller.scopes.includes('admin')
  const pathOf = ({ key }: SessionBody) => `/api/v1/sessions/${encodeURIComponent(key)}`
  const ownerOf = ({ owner }: SessionBody) => `?owner=${encodeURIComponent(owner)}`
  const columns: Column<SessionBody>[] = [
    { head: 'Sticky key', cell: ({ key }) => <code>{key}</code>, isWide: true },
    ...(isAdmin ? [{ head: 'Owner', cell: ({ owner }: SessionBody) => <code>{owner}</code> }] : []),
    { head: 'Worker', cell: ({ worker }) => <WorkerLink id={worker} /> },
    { head: 'Exit', cell: ({ exit }) => (exit ? <ExitName {...exit} /> : <span class="muted">not known</span>) },
    { head: 'Requests', cell: ({ requests }) => requests, isNumber: true },
    { head: 'Moved', cell: ({ moved }) => moved, isNumber: true },
    { head: 'Began', cell: ({ created_at }) => <TimeAgo at={created_at} /> },
    { head: 'Used', cell: ({ last_used_at }) => <TimeAgo at={last_used_at} /> },
    { head: 'Ends unused', cell: ({ expires_at }) => <Countdown at={expires_at} /> },
    {
      head: 'Actions',
      isHeadHidden: true,
      cell: (session) => (
        <div class="row-actions">
          <Button
            icon="restart"
            kind="plain"
            label={`Rotate ${session.key}`}
            confirm={{
              title: `New circuits for the session ${session.key}?`,
              text: 'It keeps its worker. Its next request uses other circuits and connections, likely another exit: a site that knows it by its address may ask it to log in again.',
              action: 'Rotate',
            }}
            done={`The session ${session.key} has a new identity.`}
            onPress={() => api.post(`${pathOf(session)}/rotate${ownerOf(session)}`).then(reload)}
          >
            Rotate
          </Button>
          <Button
            icon="close"
            kind="danger"
            label={`End ${session.key}`}
            confirm={{
              title: `End the session ${session.key}?`,
              text: 'Its connections are dropped and its exit is forgotten. Requests that are running go on; a later one with the same key begins a new session.',
              action: 'End session',
            }}
            done={`The session ${session.key} has ended.`}
            onPress={() => api.remove(`${pathOf(session)}${ownerOf(session)}`).then(reload)}
          >
            End
          </Button>
        </div>
      ),
    },
  ]
  return (
    <Panel
      title="Sessions"
      note={counted(data.sessions.length, 'session')}
      flush
      actions={
        <label class="search">
          <Icon name="search" />
          <input
            type="search"
            placeholder="Key, worker, exit …"
            aria-label="Find sessions"
            value={search}
            onInput={({ currentTarget }) => setSearch(currentTarget.value)}
          />
        </label>
      }
    >
      {error ? <ErrorNote error={error} onRetry={reload} /> : null}
      <Table
        label="Sticky keys in use"
        columns={columns}
        rows={found.slice(0, limit)}
        keyOf={({ owner, key }) => `${owner} ${key}`}
        empty={
          <EmptyState icon="sessions" title={search === '' ? 'No session is in use.' : 'No session fits the search.'}>
            {search === '' && (
              <>
                A request with a <code>sticky_key</code> begins one, which keeps its worker and its exit.
              </>
            )}
          </EmptyState>
        }
      />
      {found.length > limit && (
        <p class="more">
          <Button onPress={() => setLimit(limit + SHOWN)}>Show more</Button> {counted(found.length - limit, 'session')}{' '}
          below
        </p>
      )}
    </Panel>
  )
}

function ExitName({ nickname, country, address }: NonNullable<SessionBody['exit']>) {
  return (
    <span class="exit-name" title={address ?? undefined}>
      <Country code={country} /> {nickname}
    </span>
  )
}

function isFound({ key, owner, worker, exit }: SessionBody, search: string): boolean {
  return [key, owner, worker, exit?.nickname, exit?.country].some((text) => text?.toLowerCase().includes(search))
}

import { useState } from 'preact/hooks'
import type { JobBody, JobResultBody, JobResultsBody } from '../api/bodies.ts'
import { usePage } from '../context.ts'
import { linkTo } from '../routing/route.ts'
import { Badge, type Tone } from '../ui/badge.tsx'
import { Button } from '../ui/button.tsx'
import { ErrorNote, Skeleton } from '../ui/notes.tsx'
import { Panel } from '../ui/panel.tsx'
import { bytes, counted } from '../ui/text.ts'
import { Countdown, TimeAgo } from '../ui/time.tsx'
import { useResource } from '../ui/use-resource.ts'
import { BodyView } from './body-view.tsx'
import { JobActions, JobProgress, JobState } from './job-parts.tsx'
import { usePages } from './use-pages.ts'

const EVERY_MS = 3_000

/** One job and what came of each of its fetches. */
export function JobView({ id }: { readonly id: string }) {
  const path = `/api/v1/jobs/${encodeURIComponent(id)}`
  const { data: job, error, reload } = useResource<JobBody>(path, { everyMs: EVERY_MS })
  const leave = () => {
    reload()
    if (job?.state !== 'running') location.hash = linkTo('jobs')
  }
  return (
    <>
      <p class="way-back">
        <a href={linkTo('jobs')}>All jobs</a>
      </p>
      <Panel
        title={job?.name ?? `Job ${id}`}
        note={<code>{id}</code>}
        actions={job && <JobActions job={job} onDone={leave} />}
      >
        {error ? <ErrorNote error={error} onRetry={reload} /> : null}
        {job === undefined ? <Skeleton lines={3} /> : <JobFacts job={job} />}
      </Panel>
      {job && <Results job={job} path={path} />}
    </>
  )
}

function JobFacts({ job }: { readonly job: JobBody }) {
  const { created_at: began, ended_at: ended, deadline_at: deadline, next_try_at: next, webhook } = job
  return (
    <dl class="readings">
      <Fact name="state">
        <JobState job={job} />
      </Fact>
      <Fact name="progress">
        <JobProgress job={job} />
      </Fact>
      <Fact name="began">
        <TimeAgo at={began} />
      </Fact>
      {ended !== null ? (
        <Fact name="ended">
          <TimeAgo at={ended} />
        </Fact>
      ) : (
        <Fact name="gives up">
          <Countdown at={deadline} />
        </Fact>
      )}
      {next !== null && (
        <Fact name="next try">
          <Countdown at={next} />
        </Fact>
      )}
      {webhook && (
        <Fact name="webhook">
          {webhook.state}
          {webhook.outcome && ` (${webhook.outcome})`}
        </Fact>
      )}
    </dl>
  )
}

function Fact({ name, children }: { readonly name: string; readonly children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

function Results({ job, path }: { readonly job: JobBody; readonly path: string }) {
  const { items, error, hasMore, loadMore } = usePages<JobResultBody>(`${path}/results`, {
    pick: (body: JobResultsBody) => ({ items: body.results, next: body.next_cursor }),
    // What has ended is what it is: only a job that runs is looked at again.
    everyMs: job.state === 'running' ? EVERY_MS : undefined,
  })
  return (
    <Panel title="Results" note={counted(job.fetches, 'fetch', 'fetches')} flush>
      {error ? <ErrorNote error={error} /> : null}
      <ol class="results" start={0}>
        {items?.map((result) => (
          <ResultRow key={result.n} result={result} path={path} />
        ))}
      </ol>
      {hasMore && (
        <p class="more">
          <Button onPress={loadMore}>Show more</Button>
        </p>
      )}
    </Panel>
  )
}

const TONES: Readonly<Record<JobResultBody['state'], Tone>> = {
  ...{ waiting: 'idle', running: 'info', done: 'ok', failed: 'bad', cancelled: 'idle' },
}

function ResultRow({ result, path }: { readonly result: JobResultBody; readonly path: string }) {
  const { n, url, method, state, tries, answer, problem, next_try_at: next } = result
  const [isOpen, setOpen] = useState(false)
  return (
    <li class="result">
      <Badge tone={TONES[state]}>{answer ? String(answer.status) : state}</Badge>
      <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
        <summary>
          <code>
            {method === 'GET' ? '' : `${method} `}
            {url}
          </code>
        </summary>
        {isOpen && <Outcome result={result} path={`${path}/results/${n}`} />}
      </details>
      <span class="result-note muted">
        {counted(tries, 'try', 'tries')}
        {next !== null && (
          <>
            , next <Countdown at={next} />
          </>
        )}
        {problem && `, ${problem.code}`}
      </span>
    </li>
  )
}

function Outcome({ result, path }: { readonly result: JobResultBody; readonly path: string }) {
  const { api } = usePage()
  const [loaded, setLoaded] = useState<JobResultBody>()
  const { answer } = loaded ?? result
  const { problem, body_is: where, body_bytes: size } = result
  return (
    <div class="result-outcome">
      {problem && (
        <p>
          {problem.detail}. <a href={`/problems/${problem.code}`}>{problem.code}</a>
        </p>
      )}
      {where === 'removed' && <p>The body ({bytes(size)}) was removed to make room.</p>}
      {where === 'elsewhere' && loaded === undefined && (
        <Button onPress={() => api.get<JobResultBody>(path).then(setLoaded)}>{`Show the body (${bytes(size)})`}</Button>
      )}
      {answer && answer.body !== null && answer.body_encoding !== null && (
        <BodyView url={answer.url} body={answer.body} encoding={answer.body_encoding} size={size} />
      )}
    </div>
  )
}

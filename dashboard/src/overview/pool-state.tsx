import type { LiveWorkerBody } from '../api/bodies.ts'
import { useLive } from '../context.ts'
import type { LiveView } from '../live/live-state.ts'
import { linkTo } from '../routing/route.ts'
import type { Tone } from '../ui/badge.tsx'
import { Icon, type IconName } from '../ui/icon.tsx'
import { roughDuration } from '../ui/text.ts'
import { Countdown, Since } from '../ui/time.tsx'
import { useAge } from '../ui/use-age.ts'
import { actionWord, lookOf } from '../workers/look.ts'
import { Gateways } from './gateways.tsx'
import { poolSentence } from './pool-sentence.ts'

const ICONS: Readonly<Record<Tone, IconName>> = { ok: 'ok', warn: 'warn', bad: 'bad', info: 'starting', idle: 'info' }

/** How the pool is, why, and what it will do next: in a few sentences. */
export function PoolState({ view }: { readonly view: LiveView }) {
  const age = useAge()
  const { tone, headline, aside, ill, moreIll } = poolSentence(view)
  if (age !== undefined) return <NotHeard age={age} />
  return (
    <section class={`pool-state tone-${tone}`} aria-label="How the pool is">
      <Icon name={ICONS[tone]} size={28} />
      <div class="pool-words">
        <p class="pool-headline" role="status">
          {headline}
          {aside !== '' && <span class="muted"> {aside}</span>}
        </p>
        {ill.length === 0 ? (
          <Calm view={view} />
        ) : (
          <ul class="pool-ill">
            {ill.map((worker) => (
              <IllWorker key={worker.id} worker={worker} />
            ))}
            {moreIll > 0 && (
              <li>
                <a href={linkTo('workers')}>And {moreIll} more</a>
              </li>
            )}
          </ul>
        )}
        <Gateways />
      </div>
    </section>
  )
}

/** Nothing is said of the pool that may no longer be so. */
function NotHeard({ age }: { readonly age: number }) {
  const link = useLive((state) => state.link)
  return (
    <section class="pool-state tone-warn" aria-label="How the pool is">
      <Icon name="warn" size={28} />
      <div class="pool-words">
        <p class="pool-headline" role="status">
          How the pool is now is not known.
        </p>
        <p class="pool-calm">
          What is shown is as it was <span class="number">{roughDuration(age)}</span> ago.{' '}
          {link.status === 'reconnecting' || link.status === 'refused'
            ? link.reason
            : 'Nothing is heard of the service.'}
        </p>
      </div>
    </section>
  )
}

/** What there is to say when all is well: for how long, and what comes next. */
function Calm({ view: { started_at: startedAt, workers } }: { readonly view: LiveView }) {
  const [next] = workers
    .flatMap(({ id, next_action: action }) => (action === null ? [] : [{ id, ...action }]))
    .sort((one, other) => (one.at < other.at ? -1 : 1))
  return (
    <p class="pool-calm muted">
      Up for <Since at={startedAt} />.
      {next && (
        <>
          {' '}
          Next: {actionWord(next.type)} of {next.id} <Countdown at={next.at} />.
        </>
      )}
    </p>
  )
}

function IllWorker({ worker }: { readonly worker: LiveWorkerBody }) {
  const { id, state, since, problem, next_action: next, bootstrap } = worker
  const { tone, icon } = lookOf(worker)
  const why = state === 'starting' ? `${bootstrap.progress} % bootstrapped` : problem
  return (
    <li>
      <span class={`outcome tone-${tone}`}>
        <Icon name={icon} />
      </span>
      <span>
        <a href={linkTo('workers', id)}>{id}</a> {STATE_PHRASES[state]} for <Since at={since} />
        {why === null ? '.' : `: ${withStop(why)}`}
        {next !== null ? (
          <>
            {' '}
            <b>
              Next: {actionWord(next.type)} <Countdown at={next.at} />.
            </b>
          </>
        ) : (
          state === 'recovery' && <b> Recovery is under way.</b>
        )}
      </span>
    </li>
  )
}

const STATE_PHRASES: Readonly<Record<LiveWorkerBody['state'], string>> = {
  healthy: 'has been healthy',
  suspect: 'has been suspect',
  dead: 'has been dead',
  recovery: 'has been in recovery',
  starting: 'has been starting',
}

function withStop(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}

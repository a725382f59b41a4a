import { useMemo, useRef } from 'preact/hooks'
import type { LiveWorkerBody } from '../api/bodies.ts'
import { linkTo } from '../routing/route.ts'
import { Badge } from '../ui/badge.tsx'
import { bytes, figure, inWords, rate } from '../ui/text.ts'
import { Since } from '../ui/time.tsx'
import { useVisible } from '../ui/use-visible.ts'
import { Circuits } from './circuits.tsx'
import { HealthStrip } from './health-strip.tsx'
import { lookOf, STATE_LOOKS } from './look.ts'
import { OrderButtons } from './order-buttons.tsx'
import { LastCheck, LastRecovery, NextAction } from './worker-facts.tsx'

interface WorkerCardProps {
  readonly worker: LiveWorkerBody
  /** In the drawer: everything at once, and nothing to open. */
  readonly isWhole?: boolean
}

/** All that is known of one worker, and all that can be ordered of it. */
export function WorkerCard({ worker, isWhole = false }: WorkerCardProps) {
  const element = useRef<HTMLElement>(null)
  const isSeen = useVisible(element)
  return useMemo(() => {
    const { id, kind, desired, state, since, problem, process } = worker
    const look = lookOf(worker)
    return (
      <article ref={element} class={`card tone-${look.tone}`} data-worker={id} aria-label={`Worker ${id}`}>
        <header class="card-head">
          <h2>{isWhole ? id : <a href={linkTo('workers', id)}>{id}</a>}</h2>
          <span class="muted">{kind}</span>
          <span class="card-state">
            <Badge tone={look.tone} icon={look.icon}>
              {look.word}
            </Badge>
          </span>
        </header>
        <p class="card-axes muted">
          <span>
            wanted <b>{desired}</b>
          </span>
          <span>
            observed <b>{STATE_LOOKS[state].word}</b> for <Since at={since} />
          </span>
          {desired === 'enabled' && !worker.receives_traffic && <span>takes no traffic</span>}
        </p>
        {problem !== null && desired !== 'stopped' && <p class="card-problem">{problem}</p>}
        <Bootstrap worker={worker} />
        <HealthStrip history={worker.history} />
        <Figures worker={worker} />
        {process.state === 'running' || process.state === 'unknown' ? (
          <section aria-label={`Circuits of ${id}`} class="card-circuits">
            <Circuits worker={id} isSeen={isSeen} isWhole={isWhole} />
          </section>
        ) : (
          <p class="muted card-circuits circuits-none">No circuits: its Tor is {inWords(process.state)}.</p>
        )}
        <dl class="facts card-facts">
          <dt>Last check</dt>
          <dd>
            <LastCheck check={worker.last_check} />
          </dd>
          <dt>Last recovery</dt>
          <dd>
            <LastRecovery recovery={worker.last_recovery} />
          </dd>
          <dt>Next</dt>
          <dd>
            <NextAction worker={worker} />
          </dd>
        </dl>
        <OrderButtons worker={worker} />
      </article>
    )
  }, [worker, isSeen, isWhole])
}

function Bootstrap({ worker: { bootstrap, tor_version: version, process } }: { readonly worker: LiveWorkerBody }) {
  const { progress, summary } = bootstrap
  const isGone = process.state === 'stopped' || process.state === 'exited'
  return (
    <div class="bootstrap">
      <progress max={100} value={isGone ? 0 : progress} aria-label="Bootstrap" />
      <span class="muted number">
        {isGone ? `Tor is ${process.state}` : progress < 100 ? `${progress} % · ${summary}` : 'Bootstrapped'}
        {version !== null && ` · Tor ${version}`}
        {process.pid !== null && ` · pid ${process.pid}`}
      </span>
    </div>
  )
}

function Figures({ worker }: { readonly worker: LiveWorkerBody }) {
  return (
    <dl class="figures">
      <Figure name="Req/s" value={rate(worker.requests_per_s)} />
      <Figure name="Leases" value={String(worker.leases)} />
      <Figure name="Down" value={`${bytes(worker.read_bytes_per_s)}/s`} />
      <Figure name="Up" value={`${bytes(worker.written_bytes_per_s)}/s`} />
      <Figure name="Failed" value={`${figure(worker.failures)} of ${figure(worker.requests)}`} />
    </dl>
  )
}

function Figure({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="number">{value}</dd>
    </div>
  )
}

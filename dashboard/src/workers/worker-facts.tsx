import type { LiveWorkerBody } from '../api/bodies.ts'
import { Icon } from '../ui/icon.tsx'
import { inWords, latency } from '../ui/text.ts'
import { Countdown, TimeAgo } from '../ui/time.tsx'
import { actionWord } from './look.ts'

export function LastCheck({ check }: { readonly check: LiveWorkerBody['last_check'] }) {
  if (check === null) return <span class="muted">none yet</span>
  const { ok, at, latency_ms: ms, error } = check
  return (
    <>
      <Outcome isOk={ok} /> {ok ? `passed in ${latency(ms)}` : 'failed'}, <TimeAgo at={at} />
      {error !== null && <span class="muted">: {error}</span>}
    </>
  )
}

export function LastRecovery({ recovery }: { readonly recovery: LiveWorkerBody['last_recovery'] }) {
  if (recovery === null) return <span class="muted">none since the start</span>
  const { ok, at, steps } = recovery
  return (
    <details class="recovery">
      <summary>
        <Outcome isOk={ok} /> {ok ? 'passed' : 'failed'} <TimeAgo at={at} />
      </summary>
      <ol>
        {steps.map((step) => (
          <li key={step.name}>
            <Outcome isOk={step.ok} isSkipped={step.skipped} /> {inWords(step.name)}{' '}
            <span class="muted number">
              {step.skipped ? 'nothing to do' : latency(step.ms)}
              {step.error !== null && `: ${step.error}`}
            </span>
          </li>
        ))}
      </ol>
    </details>
  )
}

function Outcome({ isOk, isSkipped = false }: { readonly isOk: boolean; readonly isSkipped?: boolean }) {
  const [tone, icon] = isSkipped
    ? (['idle', 'drained'] as const)
    : isOk
      ? (['ok', 'ok'] as const)
      : (['bad', 'bad'] as const)
  return (
    <span class={`outcome tone-${tone}`}>
      <Icon name={icon} size={14} />
    </span>
  )
}

/** What the service will do about the worker by itself, and when. */
export function NextAction({ worker }: { readonly worker: Pick<LiveWorkerBody, 'next_action' | 'state' | 'desired'> }) {
  const { next_action: next, state, desired } = worker
  if (next !== null) {
    return (
      <span title={next.reason ?? undefined}>
        {actionWord(next.type)} <Countdown at={next.at} />
        {next.reason !== null && next.type !== 'probe' && <span class="muted">: {next.reason}</span>}
      </span>
    )
  }
  if (desired === 'stopped') return <span class="muted">nothing: it is to be stopped</span>
  if (state === 'recovery') return <>recovery is under way</>
  return <span class="muted">nothing is due</span>
}

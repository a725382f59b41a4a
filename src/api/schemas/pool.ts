import { z } from 'zod'
import { SEVERITIES, type ServiceProblem } from '../../domain/events.ts'
import { MODES, type Mode } from '../../domain/exchange.ts'
import { isoTime } from '../../lib/iso-time.ts'
import type { ServiceView, WorkerView } from '../views.ts'
import { count, instant, mode, oneOf, requestObject } from './common.ts'
import { desiredState, healthState, nextActionBody, toNextActionBody } from './worker.ts'

const status = oneOf(['healthy', 'degraded', 'down']).describe(
  '`healthy`: every enabled worker is; `degraded`: not all are, but some worker receives traffic; `down`: none does.',
)

export const problemBody = z.object({
  code: z.string().describe('Stable: match on it.'),
  severity: oneOf(SEVERITIES),
  text: z.string(),
  since: instant,
  worker: z.string().nullable().describe('Null when it is not of one worker.'),
})

export const healthBody = z
  .object({
    status,
    mode,
    total: count,
    receiving_traffic: count,
    workers: z.array(
      z.object({
        id: z.string(),
        n: z.int(),
        desired: desiredState,
        state: healthState,
        since: instant,
        consecutive_failures: count,
        receives_traffic: z.boolean(),
        leases: count,
        next_action: nextActionBody,
      }),
    ),
    problems: z.array(problemBody).describe('What is wrong at present, the oldest first.'),
  })
  .meta({ id: 'Health' })

export const statusBody = z
  .object({
    status,
    mode,
    service: z.object({ version: z.string(), started_at: instant }),
    workers: z.object({
      total: count,
      receiving_traffic: count,
      by_state: z.object({ starting: count, healthy: count, suspect: count, dead: count, recovery: count }),
      by_desired: z.object({ enabled: count, drained: count, stopped: count }),
    }),
    tor: z.object({
      running: count.describe('Tor processes that are there.'),
      bootstrapped: count.describe('Those that are at 100 %.'),
      versions: z.array(z.string()),
    }),
    leases: count,
    requests: count,
    failures: count,
  })
  .meta({ id: 'Status' })

export const modeBody = requestObject({ mode }).meta({ id: 'Mode' })
export const modeAnswerBody = z
  .object({ mode, modes: z.array(z.string()).describe('What can be chosen.') })
  .meta({ id: 'ModeAnswer' })

export type HealthBody = z.output<typeof healthBody>
export type StatusBody = z.output<typeof statusBody>
export type ModeAnswerBody = z.output<typeof modeAnswerBody>

export function toModeAnswerBody(current: Mode): ModeAnswerBody {
  return { mode: current, modes: [...MODES] }
}

export function toHealthBody(
  current: Mode,
  workers: readonly WorkerView[],
  problems: readonly ServiceProblem[],
): HealthBody {
  return {
    status: poolStatusOf(workers),
    mode: current,
    total: workers.length,
    receiving_traffic: countOf(workers, (worker) => worker.receivesTraffic),
    workers: workers.map((worker) => ({
      id: worker.id,
      n: worker.n,
      desired: worker.desired,
      state: worker.state,
      since: isoTime(worker.since),
      consecutive_failures: worker.consecutiveFailures,
      receives_traffic: worker.receivesTraffic,
      leases: worker.leases,
      next_action: toNextActionBody(worker.nextAction),
    })),
    problems: problems.map(toProblemBody),
  }
}

export function toProblemBody({ code, severity, text, since, worker }: ServiceProblem): z.output<typeof problemBody> {
  return { code, severity, text, since: isoTime(since), worker: worker ?? null }
}

export function toStatusBody(current: Mode, workers: readonly WorkerView[], service: ServiceView): StatusBody {
  const inState = (state: WorkerView['state']) => countOf(workers, (worker) => worker.state === state)
  const desired = (wish: WorkerView['desired']) => countOf(workers, (worker) => worker.desired === wish)
  const running = workers.filter(({ process }) => process.state === 'running' || process.state === 'starting')
  return {
    status: poolStatusOf(workers),
    mode: current,
    service: { version: service.version, started_at: isoTime(service.startedAt) },
    workers: {
      total: workers.length,
      receiving_traffic: countOf(workers, (worker) => worker.receivesTraffic),
      by_state: {
        starting: inState('starting'),
        healthy: inState('healthy'),
        suspect: inState('suspect'),
        dead: inState('dead'),
        recovery: inState('recovery'),
      },
      by_desired: { enabled: desired('enabled'), drained: desired('drained'), stopped: desired('stopped') },
    },
    tor: {
      running: running.length,
      bootstrapped: countOf(running, ({ bootstrap }) => bootstrap.progress === 100),
      versions: [...new Set(workers.flatMap(({ torVersion }) => torVersion ?? []))].sort(),
    },
    leases: sumOf(workers, ({ leases }) => leases),
    requests: sumOf(workers, ({ requests }) => requests),
    failures: sumOf(workers, ({ failures }) => failures),
  }
}

/** A worker that the operator took out is no reason for alarm, unless nothing is left. */
export function poolStatusOf(workers: readonly WorkerView[]): StatusBody['status'] {
  if (!workers.some((worker) => worker.receivesTraffic)) return 'down'
  return workers.every((worker) => worker.desired !== 'enabled' || worker.state === 'healthy') ? 'healthy' : 'degraded'
}

function countOf(workers: readonly WorkerView[], matches: (worker: WorkerView) => boolean): number {
  return workers.filter(matches).length
}

function sumOf(workers: readonly WorkerView[], value: (worker: WorkerView) => number): number {
  return workers.reduce((sum, worker) => sum + value(worker), 0)
}

import { z } from 'zod'
import { isoTime } from '../../lib/iso-time.ts'
import type { RecoveryView, WorkerView } from '../views.ts'
import { count, flag, instant, milliseconds, oneOf, requestObject, roundMs, workerRef } from './common.ts'

export const desiredState = oneOf(['enabled', 'drained', 'stopped'])
export const healthState = oneOf(['starting', 'healthy', 'suspect', 'dead', 'recovery'])

export const nextActionBody = z
  .object({
    type: z.string().describe('`probe`, `recover`, `reboot` or the like.'),
    at: instant,
    reason: z.string().nullable(),
  })
  .nullable()
  .describe('What will be done by itself. Null when nothing will, or when it is being done just now.')

export const workerBody = z
  .object({
    id: z.string(),
    n: z.int().describe('1 to N, in the order of the configuration.'),
    kind: oneOf(['local', 'openwrt', 'external', 'peer', 'fake']),
    desired: desiredState.describe('What the operator asked for.'),
    state: healthState.describe('What is observed.'),
    since: instant.describe('When it came into that state.'),
    consecutive_failures: count,
    receives_traffic: z.boolean(),
    process: z.object({
      state: oneOf(['stopped', 'starting', 'running', 'exited', 'unknown']),
      pid: z.int().nullable(),
      started_at: instant.nullable(),
    }),
    bootstrap: z.object({ progress: z.number(), tag: z.string(), summary: z.string() }).describe("Tor's own words."),
    tor_version: z.string().nullable(),
    leases: count.describe('Requests that hold the worker now.'),
    problem: z.string().nullable().describe('Why it does not do what is desired.'),
    last_check: z
      .object({ at: instant, ok: z.boolean(), latency_ms: milliseconds.nullable(), error: z.string().nullable() })
      .nullable(),
    last_recovery: z
      .object({
        at: instant.describe('When it ended.'),
        ok: z.boolean(),
        steps: z.array(
          z.object({
            name: z.string(),
            ok: z.boolean(),
            skipped: z.boolean().describe('Whether there was nothing to do.'),
            ms: milliseconds,
            error: z.string().nullable(),
          }),
        ),
      })
      .nullable()
      .describe('The latest attempt to bring it back, up to the first step that failed.'),
    next_action: nextActionBody,
    requests: count.describe('Attempts since the service started.'),
    failures: count.describe("Attempts that failed by the worker's fault."),
  })
  .meta({ id: 'Worker' })

export type WorkerBody = z.output<typeof workerBody>

export const workersBody = z.object({ workers: z.array(workerBody) }).meta({ id: 'Workers' })

export const workerParams = z.object({
  n: z
    .string()
    .describe('The number of the worker, from 1, or its id.')
    .meta({ examples: ['1'] }),
})

export const drainBody = requestObject({
  worker: workerRef,
  force: flag().default(false).describe('Drain it even if no other worker receives traffic.'),
}).meta({ id: 'Drain' })

export const enableBody = requestObject({ worker: workerRef }).meta({ id: 'Enable' })

export function toWorkerBody(worker: WorkerView): WorkerBody {
  const { process, lastCheck } = worker
  return {
    id: worker.id,
    n: worker.n,
    kind: worker.kind,
    desired: worker.desired,
    state: worker.state,
    since: isoTime(worker.since),
    consecutive_failures: worker.consecutiveFailures,
    receives_traffic: worker.receivesTraffic,
    process: { state: process.state, pid: process.pid ?? null, started_at: isoTimeOrNull(process.startedAt) },
    bootstrap: { ...worker.bootstrap },
    tor_version: worker.torVersion ?? null,
    leases: worker.leases,
    problem: worker.problem ?? null,
    last_check: lastCheck
      ? {
          at: isoTime(lastCheck.at),
          ok: lastCheck.ok,
          latency_ms: lastCheck.latencyMs === undefined ? null : roundMs(lastCheck.latencyMs),
          error: lastCheck.error ?? null,
        }
      : null,
    last_recovery: worker.lastRecovery ? toRecoveryBody(worker.lastRecovery) : null,
    next_action: toNextActionBody(worker.nextAction),
    requests: worker.requests,
    failures: worker.failures,
  }
}

export function toNextActionBody(action: WorkerView['nextAction']): z.output<typeof nextActionBody> {
  return action ? { type: action.type, at: isoTime(action.at), reason: action.reason ?? null } : null
}

function toRecoveryBody({ at, ok, steps }: RecoveryView): WorkerBody['last_recovery'] {
  return {
    at: isoTime(at),
    ok,
    steps: steps.map(({ name, ok: passed, skipped = false, ms, error = null }) => ({
      name,
      ok: passed,
      skipped,
      ms: roundMs(ms),
      error,
    })),
  }
}

export function isoTimeOrNull(epochMs: number | undefined): string | null {
  return epochMs === undefined ? null : isoTime(epochMs)
}

import type { HealthBody } from '../api/schemas/pool.ts'
import { type ApiClient, ApiProblem, ApiUnreachable } from '../client/client.ts'
import { judgeClockSkew } from './clock.ts'
import { type Finding, messageOf, ok, unchecked, warning, wrong } from './finding.ts'

/** What the running service says of itself. */
export async function checkService(
  api: Pick<ApiClient, 'status' | 'health' | 'worker'>,
  url: string,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  try {
    const { service, workers } = await api.status(signal)
    const health = await api.health(signal)
    const up = `${service.version} at ${url}; ${workers.receiving_traffic} of ${workers.total} workers receive traffic`
    const found = [ok('service', up), ...judgeProblems(health)]
    for (const { id, desired } of health.workers)
      if (desired !== 'stopped') {
        const { clock_skew_s: skew } = await api.worker(id, signal)
        found.push(judgeClockSkew(`${id}: clock`, skew ?? undefined))
      }
    return found
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof ApiUnreachable)
      return [
        warning(
          'service',
          `none answers at ${url}, so what only runs with it was not checked`,
          'Start it: cbtor up. If it listens elsewhere, say where by --config or --api',
        ),
      ]
    if (error instanceof ApiProblem && error.problem.status === 401) {
      const mend =
        'Run this as the user of the service, give its state directory by --state or --config, or a key by CBTOR_KEY'
      return [unchecked('service', `it answers at ${url}, but: ${error.message}`, mend)]
    }
    return [unchecked('service', messageOf(error))]
  }
}

/** What the service itself sees wrong at present. */
export function judgeProblems({ problems }: Pick<HealthBody, 'problems'>): readonly Finding[] {
  return problems.map(({ code, severity, text, worker }) => {
    const judge = severity === 'error' ? wrong : warning
    const name = worker === null ? `service: ${code}` : `${worker}: ${code}`
    return judge(name, text, 'See docs/health.md, and GET /api/v1/events')
  })
}

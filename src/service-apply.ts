import type { ApiServer } from './api/server.ts'
import type { ServiceConfig } from './config/read-config.ts'
import type { RequestLog } from './events/request-log.ts'
import type { LiveTargetPolicy } from './fetch/target-policy.ts'
import type { RootLogger } from './lib/log.ts'
import { jobsPolicyOf, type ServiceJobs } from './service-jobs.ts'
import type { ServiceOrder } from './service-order.ts'
import { checkEndpointsOf, targetPolicyOf, upkeepPolicyOf } from './service-policy.ts'
import type { ProxyPorts } from './service-proxy.ts'
import { MAX_LEASES, type ServiceWorkers } from './service-workers.ts'
import type { Store } from './store/store.ts'
import type { Upkeep } from './upkeep.ts'
import { checkPolicyOf, type WorkerChecks } from './worker-checks.ts'
import type { WorkerDrivers } from './worker-drivers.ts'

/** The parts that can be told a new configuration. */
export interface AppliedParts {
  readonly log: Pick<RootLogger, 'setLevel'>
  readonly requests: RequestLog
  readonly drivers: WorkerDrivers
  readonly workers: ServiceWorkers
  readonly order: ServiceOrder
  readonly checks: WorkerChecks
  readonly jobs: Pick<ServiceJobs, 'reconfigure'>
  readonly upkeep: Upkeep
  readonly server: ApiServer
  readonly proxy: ProxyPorts
  readonly store: Pick<Store, 'mode'>
  readonly policies: {
    /** What may be reached at all, */
    readonly all: LiveTargetPolicy
    /** and what callers may reach. */
    readonly callers: LiveTargetPolicy
  }
}

/** Tells the parts what holds from now on. Nothing is told to those whose fields have not changed. */
export function applyConfig(
  parts: AppliedParts,
  config: ServiceConfig,
  isChanged: (name: string) => boolean,
): readonly string[] {
  const notes: string[] = []
  if (isChanged('log')) parts.log.setLevel(config.log)
  if (isChanged('log_targets')) parts.requests.reconfigure(config.log_targets)
  if (isChanged('hosts')) parts.server.allowHosts(config.hosts)
  if (isChanged('proxy')) parts.proxy.reconfigure(config.proxy)
  if (isChanged('circuits') || isChanged('exits')) parts.drivers.reconfigure(config)
  if (isChanged('limits') || isChanged('politeness') || isChanged('workers'))
    parts.order.reconfigure(config, MAX_LEASES * config.workers.length)
  if (isChanged('jobs')) parts.jobs.reconfigure(jobsPolicyOf(config))
  if (isChanged('targets')) {
    const all = targetPolicyOf(config)
    parts.policies.all.become(all)
    parts.policies.callers.become(all.narrowedBy(config.targets))
  }
  if (isChanged('checks') || isChanged('health'))
    parts.checks.reconfigure(checkEndpointsOf(config), checkPolicyOf(config.health.check_timeout))
  if (isChanged('health')) {
    parts.workers.reconfigure(config)
    parts.upkeep.reconfigure(upkeepPolicyOf(config))
  }
  if (isChanged('mode')) {
    const kept = parts.store.mode()
    if (kept === undefined) parts.workers.pool.setMode(config.mode)
    else notes.push(`The mode stays ${kept}: it was set by the API, which wins over the configuration`)
  }
  return notes
}

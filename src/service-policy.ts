/** What parts of the service go by, as the configuration says it. */
import type { ServiceConfig } from './config/read-config.ts'
import { createTargetPolicy, type TargetPolicy } from './fetch/target-policy.ts'
import type { CheckEndpoint } from './health/check-plan.ts'
import { DEFAULT_GOVERNOR_POLICY, type GovernorPolicy } from './health/governor.ts'
import { ONION_TEST_SITES } from './health/onion-test-sites.ts'
import { DEFAULT_POLICY, type HealthPolicy } from './health/policy.ts'
import type { Clock } from './lib/clock.ts'
import type { UpkeepPolicy } from './upkeep.ts'
import { CircuitBudget } from './workers/circuit-budget.ts'
import { type CircuitSupply, STOCK_POLICY, type StockPolicy } from './workers/circuit-stock.ts'
import type { ExitMinimum } from './workers/exits/exit-choice.ts'

export function checkEndpointsOf({ checks }: Pick<ServiceConfig, 'checks'>): readonly CheckEndpoint[] {
  const named = (url: string) => ({ name: new URL(url).hostname, url })
  return [...checks.clearnet.map(named), ...(checks.onion?.map(named) ?? ONION_TEST_SITES)]
}

type CircuitsConfig = Pick<ServiceConfig, 'circuits'>

/** One for all workers; `resupply` tells them new numbers. */
export function circuitSupplyOf({ circuits }: CircuitsConfig, clock: Clock): CircuitSupply {
  return { budget: new CircuitBudget(clock, circuits), policy: stockPolicyOf({ circuits }) }
}

export function resupply({ budget, policy }: CircuitSupply, { circuits }: CircuitsConfig): void {
  budget.reconfigure(circuits)
  Object.assign(policy, stockPolicyOf({ circuits }))
}

function stockPolicyOf({ circuits: { stock, max_building: maxBuilding } }: CircuitsConfig): StockPolicy {
  return { ...STOCK_POLICY, stock, maxBuilding }
}

/** How many exits must satisfy an exit rule, for all workers. */
export function exitMinimumOf({ exits }: Pick<ServiceConfig, 'exits'>): ExitMinimum {
  return { exits: exits.min_exits, families: exits.min_families }
}

export function healthPolicyOf({ health }: Pick<ServiceConfig, 'health'>): HealthPolicy {
  const [first = 1_000, ...later] = health.recovery_backoff
  return {
    ...DEFAULT_POLICY,
    checkEveryMs: health.check_interval,
    probeTimeoutMs: health.check_timeout,
    failsToSuspect: health.failure_threshold,
    failsToDead: health.failure_threshold,
    backoffMs: [first, ...later],
    rebootAfterAttempts: health.reboot_after_attempts,
    rebootWaitMs: health.reboot_wait,
  }
}

export function governorPolicyOf({ health }: Pick<ServiceConfig, 'health'>): GovernorPolicy {
  return {
    ...DEFAULT_GOVERNOR_POLICY,
    // Workers are probed one after the other: their failures with one cause lie that far apart.
    commonCauseWindowMs: Math.max(DEFAULT_GOVERNOR_POLICY.commonCauseWindowMs, health.check_interval * 1.5),
  }
}

/** What may be reached at all; callers have the rules of `targets`, too. */
export function targetPolicyOf({ targets }: Pick<ServiceConfig, 'targets'>): TargetPolicy {
  return createTargetPolicy({ allowReserved: targets.allow_reserved, allowPorts: targets.allow_ports })
}

export function upkeepPolicyOf({ health }: Pick<ServiceConfig, 'health'>): UpkeepPolicy {
  return { warmEveryMs: health.warm_up_interval, rotateEveryMs: health.rotation_interval }
}

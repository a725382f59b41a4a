/** What parts of the service go by, as the configuration says it. */
import type { ServiceConfig } from './config/read-config.ts'
import type { CheckEndpoint } from './health/check-plan.ts'
import { DEFAULT_GOVERNOR_POLICY, type GovernorPolicy } from './health/governor.ts'
import { ONION_TEST_SITES } from './health/onion-test-sites.ts'
import { DEFAULT_POLICY, type HealthPolicy } from './health/policy.ts'
import type { Clock } from './lib/clock.ts'
import { CircuitBudget } from './workers/circuit-budget.ts'
import { type CircuitSupply, STOCK_POLICY } from './workers/circuit-stock.ts'

export function checkEndpointsOf({ checks }: ServiceConfig): readonly CheckEndpoint[] {
  const named = (url: string) => ({ name: new URL(url).hostname, url })
  return [...checks.clearnet.map(named), ...(checks.onion?.map(named) ?? ONION_TEST_SITES)]
}

export function circuitSupplyOf({ circuits }: ServiceConfig, clock: Clock): CircuitSupply {
  const { stock, max_building: maxBuilding, rate, burst } = circuits
  return { budget: new CircuitBudget(clock, { rate, burst }), policy: { ...STOCK_POLICY, stock, maxBuilding } }
}

export function healthPolicyOf({ health }: ServiceConfig): HealthPolicy {
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

export function governorPolicyOf({ health }: ServiceConfig): GovernorPolicy {
  return {
    ...DEFAULT_GOVERNOR_POLICY,
    // Workers are probed one after the other: their failures with one cause lie that far apart.
    commonCauseWindowMs: Math.max(DEFAULT_GOVERNOR_POLICY.commonCauseWindowMs, health.check_interval * 1.5),
  }
}

/** The numbers that decide over a worker's health; see `machine.ts` and `monitor.ts`. All times in milliseconds. */
export interface HealthPolicy {
  /** From the start of a probe to the start of the next, give or take the jitter. */
  readonly checkEveryMs: number
  /** The share by which the interval varies both ways, so that the workers are not probed in step. */
  readonly checkJitter: number
  /** A probe without a verdict by then has failed. */
  readonly probeTimeoutMs: number
  /** So many probes at most are left out in a row because live traffic shows the same. */
  readonly maxSkippedProbes: number
  /** Failures in a row that make a healthy worker suspect. One lost probe is not news. */
  readonly failsToSuspect: number
  /** Failed probes in a row, after those, that make it dead. */
  readonly failsToDead: number
  /** A starting worker is dead when its probes fail and its bootstrap has not moved for so long. Slow is not stuck. */
  readonly startStallMs: number
  /** The wait after the first, second, … failed recovery attempt; the last one serves for all that follow. */
  readonly backoffMs: readonly [number, ...number[]]
  /** An attempt that has no verdict by then has failed. */
  readonly attemptTimeoutMs: number
  /** Failed attempts after which the host is rebooted; null for a worker that has no host to reboot. */
  readonly rebootAfterAttempts: number | null
  /** How long a rebooted host is left alone. */
  readonly rebootWaitMs: number
}

/** The original's numbers, where it names one. A probe that hangs takes a whole interval, as in its timeline. */
export const DEFAULT_POLICY: HealthPolicy = {
  checkEveryMs: 10_000,
  checkJitter: 0.1,
  probeTimeoutMs: 10_000,
  maxSkippedProbes: 5,
  failsToSuspect: 3,
  failsToDead: 3,
  startStallMs: 60_000,
  backoffMs: [1_000, 2_000, 4_000, 8_000, 16_000, 32_000],
  attemptTimeoutMs: 120_000,
  rebootAfterAttempts: 6,
  rebootWaitMs: 90_000,
}

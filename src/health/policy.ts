/** The numbers that decide over one worker's health; see `machine.ts` and `monitor.ts`. All times in milliseconds. */
export interface HealthPolicy {
  /** From the start of a probe to the start of the next, at the latest. */
  readonly checkEveryMs: number
  /** The share by which that may be less, so that the workers are not probed in step. */
  readonly checkJitter: number
  /**
   * The same of the interval after a probe at the start or out of turn. Workers start together, and what calls for probes is common
   * to them; did they go on in step, whoever is checked would see which exits are one pool's.
   */
  readonly firstCheckJitter: number
  /**
   * The same after a failed probe of a healthy worker (HAProxy's `fastinter`); null for no difference. Suspicion costs
   * little, so it may come fast. Death costs a restart, so from suspicion to death the pace is always `checkEveryMs`.
   */
  readonly recheckEveryMs: number | null
  /**
   * The same while it is suspect, or down and recovery waits, so that one whose fault ends by itself is well soon after; null
   * for no difference. Such a probe must have its verdict by the time of the next, and between the regular ones it counts only if
   * it passes.
   */
  readonly illCheckEveryMs: number | null
  /** A probe without a verdict by then has failed. */
  readonly probeTimeoutMs: number
  /** So many intervals at most are bridged by live traffic that shows the same as a probe. */
  readonly maxSkippedProbes: number
  /** Live requests that hang bring a probe forward, so often at most. */
  readonly stallProbeEveryMs: number
  /** Failures in a row that make a healthy worker suspect. One lost probe is not news. */
  readonly failsToSuspect: number
  /** Failed probes in a row, after those, that make it dead. */
  readonly failsToDead: number
  /** A starting worker is dead when its probes fail and its bootstrap has not moved for so long. Slow is not stuck. */
  readonly startStallMs: number
  /** From the start of a pulse to the start of the next; after a failed one the next follows at once. */
  readonly pulseEveryMs: number
  /** A pulse without an answer by then has failed. */
  readonly pulseTimeoutMs: number
  /** A pulse that took so much longer than its limit says only that we were not running ourselves. */
  readonly pulseLatenessMs: number
  /** The first failed pulse makes a healthy worker suspect, so many in a row are a definitive fact: it hangs. */
  readonly pulseFailsToLost: number
  /** The wait after the first, second, … failed recovery attempt; the last one serves for all that follow. */
  readonly backoffMs: readonly [number, ...number[]]
  /** An attempt that has no verdict by then has failed. */
  readonly attemptTimeoutMs: number
  /** Failed attempts after which the host is rebooted; null for a worker that has no host to reboot. */
  readonly rebootAfterAttempts: number | null
  /** How long a rebooted host is left alone. */
  readonly rebootWaitMs: number
  /** So many falls from healthy within the window are flapping. */
  readonly flapFalls: number
  readonly flapWindowMs: number
  /** How long a worker that flaps is held down; twice as long each further time, up to the maximum. */
  readonly flapHoldMs: number
  readonly flapHoldMaxMs: number
  /** Passed probes in a row that it then needs to be healthy. */
  readonly flapRise: number
}

/**
 * The original's numbers, where it names one. With `recheckEveryMs` and `illCheckEveryMs` null, probes alone follow the original's timeline
 * (failure detected at 0 s, suspect at 30 s, dead at 60 s; the transcripts replay it). The default differs in one thing:
 * a failed probe of a healthy worker is confirmed at once, so that one whose relays are unreachable is suspect within 12 s
 * instead of 30 s, given check endpoints that it mostly reaches in 50 ms: 10 s to the next probe, then three that are given
 * up after 0.5 s each (`CheckPolicy`). A worker that hangs altogether is suspect within 3 s and dead within 4 s: 2 s to the
 * next pulse, then two of 1 s. Flapping, its hold-down and the rise of 3: after Nagios and HAProxy.
 */
export const DEFAULT_POLICY: HealthPolicy = {
  checkEveryMs: 10_000,
  checkJitter: 0.1,
  firstCheckJitter: 1,
  recheckEveryMs: 500,
  illCheckEveryMs: 3_000,
  probeTimeoutMs: 10_000,
  maxSkippedProbes: 5,
  stallProbeEveryMs: 2_000,
  failsToSuspect: 3,
  failsToDead: 3,
  startStallMs: 60_000,
  pulseEveryMs: 2_000,
  pulseTimeoutMs: 1_000,
  pulseLatenessMs: 250,
  pulseFailsToLost: 2,
  backoffMs: [1_000, 2_000, 4_000, 8_000, 16_000, 32_000],
  attemptTimeoutMs: 120_000,
  rebootAfterAttempts: 6,
  rebootWaitMs: 90_000,
  flapFalls: 3,
  flapWindowMs: 600_000,
  flapHoldMs: 300_000,
  flapHoldMaxMs: 3_600_000,
  flapRise: 3,
}

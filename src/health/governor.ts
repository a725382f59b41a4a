import { PersistentMap } from '../lib/persistent-map.ts'

/**
 * Decides, for the whole pool, whether a worker may be healed now: self-healing must never do more harm than what it
 * heals. Pure, like `machine.ts`; `pool-governor.ts` keeps the state. Instants are milliseconds of a clock that never
 * goes back.
 */
export interface GovernorState {
  readonly workers: PersistentMap<WardState>
  /** Since when most of the pool fails together, so that the cause is thought to be common: our uplink, or our machine. */
  readonly uplinkSuspectSince: number | undefined
}

export interface WardState {
  /** False for one that is wished to be stopped: it is neither evidence nor healed. */
  readonly isWatched: boolean
  /** What was last seen of it, and since when it fails; `none` while there is nothing that it could show. */
  readonly evidence: 'none' | 'passing' | 'failing' | 'hanging'
  readonly failingSince: number
  /** When it last did not answer a pulse, and since when it does not. */
  readonly pulseFailedAt: number
  readonly hangingSince: number
  readonly pulsePassedAt: number
  /** Of its restart budget, as they were at `tokensAt`. */
  readonly tokens: number
  readonly tokensAt: number
  /** A recovery attempt has its hands on it, and it may still carry traffic: the kind that is rationed. */
  readonly isRestarting: boolean
  /** Another gateway has its hands on it. */
  readonly isHealedElsewhere: boolean
  readonly rebootingUntil: number
  /** When it was rebooted, within the last day. */
  readonly reboots: readonly number[]
}

/** All times in milliseconds. */
export interface GovernorPolicy {
  /** More than half of the pool that begins to fail within so long has one cause. Above the interval of the probes. */
  readonly commonCauseWindowMs: number
  /** How long a worker that hangs is left alone, to see whether others hang too: then it is our machine. */
  readonly hangSettleMs: number
  /** How long the whole pool may hang before that is held to be the workers' fault all the same. */
  readonly machineStallMs: number
  /** The share of the pool, one worker at least, that may be in healing at once. */
  readonly healingShare: number
  /** First restarts of a worker after its deaths: so many at once, and one more in each interval. */
  readonly restartBurst: number
  readonly restartEveryMs: number
  /** From one reboot of a worker to its next. */
  readonly rebootEveryMs: number
  /** Reboots of one worker in 24 hours; then it is quarantined. */
  readonly rebootsPerDay: number
}

/** The limits of reboots are promises of the product. The rest is derived from the pace of probes and pulses. */
export const DEFAULT_GOVERNOR_POLICY: GovernorPolicy = {
  commonCauseWindowMs: 15_000,
  hangSettleMs: 3_000,
  machineStallMs: 120_000,
  healingShare: 0.5,
  restartBurst: 20,
  restartEveryMs: 60_000,
  rebootEveryMs: 3_600_000,
  rebootsPerDay: 3,
}

export type GovernorEvent = { readonly worker: string } & (
  | { readonly type: 'watched' | 'unwatched' }
  /** A probe or a recovery attempt passed, or a probe failed, or a pulse. */
  | { readonly type: 'passed' | 'failed' | 'pulse-passed' }
  /** `since`: when the pulse began that had no answer. */
  | { readonly type: 'pulse-failed'; readonly since: number }
  /** Its process ended or is started anew: what it showed before says nothing about the uplink any more. */
  | { readonly type: 'withdrawn' }
  | { readonly type: 'restart-began'; readonly attempt: number; readonly isGone: boolean }
  | { readonly type: 'restart-ended' }
  | { readonly type: 'reboot-began'; readonly until: number }
  /** What other gateways do to it, and have done. */
  | { readonly type: 'healed-elsewhere'; readonly isHealed: boolean }
  | { readonly type: 'rebooted-elsewhere'; readonly at: readonly number[]; readonly waitMs: number }
)

export interface HealingRequest {
  readonly worker: string
  readonly action:
    | {
        readonly type: 'recover'
        /** Counts from 1, anew after each death. */
        readonly attempt: number
        /** Since when it hangs, if that is what is the matter. */
        readonly hungSince?: number | undefined
      }
    | { readonly type: 'reboot' }
  /** Its process is known to have ended: starting it again takes nothing away, and no uplink makes a process exit. */
  readonly isGone: boolean
}

export interface Permit {
  /** From when on, as far as is known now; infinity when that depends on what happens. */
  readonly at: number
  /** Why not now. */
  readonly reason?: string
  /** It has used up its reboots. */
  readonly isQuarantine?: boolean
  /** It is another gateway's to heal. */
  readonly isElsewhere?: boolean
}

const DAY_MS = 86_400_000
const SAME_REBOOT_MS = 300_000

export const UNGOVERNED: GovernorState = {
  workers: PersistentMap.of(),
  uplinkSuspectSince: undefined,
}

const NEW_WARD: WardState = {
  isWatched: true,
  evidence: 'none',
  failingSince: 0,
  pulseFailedAt: Number.NEGATIVE_INFINITY,
  hangingSince: Number.NEGATIVE_INFINITY,
  pulsePassedAt: Number.NEGATIVE_INFINITY,
  tokens: Number.POSITIVE_INFINITY, // full
  tokensAt: 0,
  isRestarting: false,
  isHealedElsewhere: false,
  rebootingUntil: Number.NEGATIVE_INFINITY,
  reboots: [],
}

export function govern(state: GovernorState, event: GovernorEvent, now: number, policy: GovernorPolicy): GovernorState {
  const ward = state.workers.get(event.worker) ?? NEW_WARD
  switch (event.type) {
    case 'watched':
      return withWard(state, event.worker, { ...ward, isWatched: true, evidence: 'none' })
    case 'unwatched':
      return withWard(state, event.worker, { ...ward, isWatched: false, evidence: 'none', isRestarting: false })
    case 'passed':
      return passed(state, event.worker, ward)
    case 'failed':
      return failed(state, event.worker, ward, now, policy)
    case 'pulse-passed':
      return withWard(state, event.worker, {
        ...ward,
        pulsePassedAt: now,
        evidence: ward.evidence === 'hanging' ? 'passing' : ward.evidence,
      })
    case 'pulse-failed':
      return withWard(state, event.worker, {
        ...ward,
        evidence: 'hanging',
        pulseFailedAt: now,
        hangingSince: isHanging(ward, now, policy) ? ward.hangingSince : event.since,
      })
    case 'withdrawn':
      return withWard(state, event.worker, { ...ward, evidence: 'none' })
    case 'restart-began': {
      const isRestarting = !event.isGone
      const tokens = tokensOf(ward, now, policy) - (event.attempt === 1 ? 1 : 0)
      return withWard(state, event.worker, { ...ward, isRestarting, tokens, tokensAt: now })
    }
    case 'restart-ended':
      return withWard(state, event.worker, { ...ward, isRestarting: false })
    case 'reboot-began': {
      const reboots = [...recentReboots(ward, now), now]
      return withWard(state, event.worker, { ...ward, reboots, rebootingUntil: event.until, evidence: 'none' })
    }
    case 'healed-elsewhere':
      return withWard(state, event.worker, { ...ward, isHealedElsewhere: event.isHealed })
    case 'rebooted-elsewhere':
      return withWard(state, event.worker, rebootedElsewhere(ward, event.at, event.waitMs, now))
  }
}

/** From when on the request may be done. Has no effect: say with an event of the same name that it has begun. */
export function permit(state: GovernorState, request: HealingRequest, now: number, policy: GovernorPolicy): Permit {
  const { worker, action, isGone } = request
  if (state.uplinkSuspectSince !== undefined && !(isGone && action.type === 'recover')) {
    return never('most of the pool began to fail at the same time, so the uplink is suspected')
  }
  if (action.type === 'reboot') return permitReboot(state, worker, now, policy)
  if (!isGone) {
    const settledAt = (action.hungSince ?? Number.NEGATIVE_INFINITY) + policy.hangSettleMs
    if (now < settledAt) return { at: settledAt, reason: 'it hangs; others may hang too' }
    if (isHealingFull(state, worker, now, policy)) return never('as many workers as may be are in healing')
  }
  // Later attempts are paced by their backoff; what is rationed here is dying over and over.
  const tokens = tokensOf(state.workers.get(worker) ?? NEW_WARD, now, policy)
  if (action.attempt > 1 || tokens >= 1) return { at: now }
  return { at: now + (1 - tokens) * policy.restartEveryMs, reason: 'its restart budget is used up' }
}

function permitReboot(state: GovernorState, worker: string, now: number, policy: GovernorPolicy): Permit {
  const ward = state.workers.get(worker) ?? NEW_WARD
  const reboots = recentReboots(ward, now)
  const oldest = reboots.at(-policy.rebootsPerDay)
  if (oldest !== undefined) {
    return { at: oldest + DAY_MS, reason: `it was rebooted ${reboots.length} times in a day`, isQuarantine: true }
  }
  const nextAt = (reboots.at(-1) ?? Number.NEGATIVE_INFINITY) + policy.rebootEveryMs
  if (now < nextAt) return { at: nextAt, reason: 'it was rebooted a short time ago' }

  const others = [...state.workers].filter(([id, { rebootingUntil }]) => id !== worker && now < rebootingUntil)
  const until = Math.max(...others.map(([, { rebootingUntil }]) => rebootingUntil))
  if (others.length > 0) return { at: until, reason: 'another worker reboots' }
  return isHealingFull(state, worker, now, policy) ? never('as many workers as may be are in healing') : { at: now }
}

/**
 * Whether it is more likely our machine that hangs than this worker: nobody else has answered since it does not, and that
 * has not lasted yet. Told apart from the uplink, since neither an uplink nor a check endpoint that is down keeps a Tor
 * from answering.
 */
export function doesMachineHang(
  { workers }: GovernorState,
  worker: string,
  now: number,
  policy: GovernorPolicy,
): boolean {
  const { hangingSince } = workers.get(worker) ?? NEW_WARD
  if (now - hangingSince > policy.machineStallMs) return false
  const others = [...workers].filter(([id, ward]) => id !== worker && ward.isWatched && ward.evidence !== 'none')
  return others.length > 0 && !others.some(([, { pulsePassedAt }]) => pulsePassedAt >= hangingSince)
}

function isHanging({ evidence, pulseFailedAt }: WardState, now: number, policy: GovernorPolicy): boolean {
  return evidence === 'hanging' && now - pulseFailedAt <= policy.hangSettleMs
}

function failed(
  state: GovernorState,
  worker: string,
  ward: WardState,
  now: number,
  policy: GovernorPolicy,
): GovernorState {
  // What it does not do because it hangs, it does not tell of the uplink.
  if (isHanging(ward, now, policy)) return state
  const failingSince = ward.evidence === 'failing' ? ward.failingSince : now
  const next = withWard(state, worker, { ...ward, evidence: 'failing', failingSince })
  const isNew = state.uplinkSuspectSince === undefined && hasCommonCause(next, now, policy)
  return isNew ? { ...next, uplinkSuspectSince: now } : next
}

/**
 * More than half of those that could fail began to within the window. One that failed before then, or that hangs, is no
 * evidence, neither way; nor can one alone tell its own fault from its uplink's.
 */
function hasCommonCause({ workers }: GovernorState, now: number, policy: GovernorPolicy): boolean {
  let witnesses = 0
  let failing = 0
  for (const { isWatched, evidence, failingSince } of workers.values()) {
    if (!isWatched || evidence === 'none' || evidence === 'hanging') continue
    if (evidence === 'failing' && now - failingSince > policy.commonCauseWindowMs) continue
    witnesses += 1
    if (evidence === 'failing') failing += 1
  }
  return failing >= 2 && failing > witnesses / 2
}

/** Whoever passes clears the uplink. The failures seen meanwhile were the uplink's, so those who still fail begin anew. */
function passed(state: GovernorState, worker: string, ward: WardState): GovernorState {
  const next = withWard(state, worker, { ...ward, evidence: 'passing' })
  if (state.uplinkSuspectSince === undefined) return next
  const workers = PersistentMap.of(
    [...next.workers].map(([id, each]): [string, WardState] => [
      id,
      each.evidence === 'failing' ? { ...each, evidence: 'none' } : each,
    ]),
  )
  return { ...next, workers, uplinkSuspectSince: undefined }
}

/** What is told of one reboot by several, each with its own delay, is one: they are an hour apart at least. */
function rebootedElsewhere(ward: WardState, at: readonly number[], waitMs: number, now: number): WardState {
  const known = recentReboots(ward, now)
  const fresh = at.filter(
    (each) => now - each < DAY_MS && !known.some((other) => Math.abs(each - other) < SAME_REBOOT_MS),
  )
  if (fresh.length === 0) return ward
  const rebootingUntil = Math.max(ward.rebootingUntil, ...fresh.map((each) => each + waitMs))
  return { ...ward, reboots: [...known, ...fresh].sort((a, b) => a - b), rebootingUntil }
}

function isHealingFull(state: GovernorState, worker: string, now: number, policy: GovernorPolicy): boolean {
  const healing = [...state.workers].filter(
    ([id, { isRestarting, isHealedElsewhere, rebootingUntil }]) =>
      id !== worker && (isRestarting || isHealedElsewhere || now < rebootingUntil),
  )
  return healing.length >= Math.max(1, Math.floor(watchedCount(state) * policy.healingShare))
}

function tokensOf({ tokens, tokensAt }: WardState, now: number, policy: GovernorPolicy): number {
  return Math.min(policy.restartBurst, tokens + (now - tokensAt) / policy.restartEveryMs)
}

/** At least one: whoever asks is there. */
function watchedCount({ workers }: GovernorState): number {
  return Math.max(1, [...workers.values()].filter(({ isWatched }) => isWatched).length)
}

export function recentReboots({ reboots }: WardState, now: number): readonly number[] {
  return reboots.filter((at) => now - at < DAY_MS)
}

function withWard(state: GovernorState, worker: string, ward: WardState): GovernorState {
  return { ...state, workers: state.workers.with(worker, ward) }
}

function never(reason: string): Permit {
  return { at: Number.POSITIVE_INFINITY, reason }
}

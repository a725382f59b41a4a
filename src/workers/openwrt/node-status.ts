/** What the box's own health script wrote last: a statement about the past. */
export interface NodeStatus {
  /** As the script says it: `HEALTHY`, `DEGRADED`, `RESTARTING`, `OFFLINE`, ... */
  readonly state: string
  readonly reason: string | undefined
  /** How long ago it was written, by the box's own clock. */
  readonly ageMs: number
}

/** Cron runs the script every minute, and a run may take another one: older than that says nothing of the present. */
const STALE_AFTER_MS = 150_000

/** Reads the lines `key=value` of the status file. Undefined when it is not one. */
export function parseNodeStatus(text: string, boxNowS: number): NodeStatus | undefined {
  const values = new Map<string, string>()
  for (const line of text.split('\n')) {
    const at = line.indexOf('=')
    if (at > 0) values.set(line.slice(0, at), line.slice(at + 1))
  }
  const state = values.get('state')
  const checkedS = Number(values.get('checked'))
  if (state === undefined || !Number.isSafeInteger(checkedS) || checkedS <= 0) return undefined
  return { state, reason: values.get('reason') || undefined, ageMs: Math.max(0, boxNowS - checkedS) * 1_000 }
}

/** Whether the script is just now restarting Tor by itself: two who restart it make it come up later, not sooner. */
export function isMending({ state, ageMs }: NodeStatus): boolean {
  return state === 'RESTARTING' && ageMs < STALE_AFTER_MS
}

/** From HAProxy's `slowstart` and Envoy's slow start mode, whose floor is the same. */
const WINDOW_MS = 60_000
const FLOOR = 0.1

/**
 * The part of its turns that a worker takes `sinceMs` after it came back from a failure: a tenth at first, then in
 * proportion to the time, all of them after a minute. Its circuits are few and untried; the first requests build them.
 */
export function shareOfTurns(sinceMs: number): number {
  return Math.min(1, Math.max(FLOOR, sinceMs / WINDOW_MS))
}

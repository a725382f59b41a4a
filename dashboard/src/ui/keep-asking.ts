export interface Pace {
  /** From an answer to the next question; undefined: there is only one. */
  readonly everyMs: number | undefined
  readonly isSeen: () => boolean
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
}

/** Asks now and then again until `signal` aborts, never twice at once: an answer that is slow to come is waited for. Not while nobody sees it. */
export async function keepAsking(
  ask: () => Promise<void>,
  { everyMs, isSeen, sleep }: Pace,
  signal: AbortSignal,
): Promise<void> {
  if (everyMs === undefined) return await ask()
  while (!signal.aborted) {
    if (isSeen()) await ask()
    await sleep(everyMs, signal)
  }
}

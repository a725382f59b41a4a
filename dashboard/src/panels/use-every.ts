import { useCallback, useEffect, useState } from 'preact/hooks'
import { every } from '../time/clock.ts'

/** Counts rounds: the next begins after `ms` while the page is seen, or when it is told to. */
export function useEvery(ms: number): { readonly round: number; again(): void } {
  const [round, setRound] = useState(0)
  const again = useCallback(() => setRound((count) => count + 1), [])
  useEffect(() => every(ms, () => !document.hidden && again()), [ms, again])
  return { round, again }
}

import { parseNumber, splitFields } from '../text.ts'
import type { Open } from './open.ts'

/** How long Tor waits for a circuit, newly decided (control-spec 4.1.16). RESET and SUSPENDED hint at a bad network. */
export interface BuildTimeout {
  readonly change: Open<'COMPUTED' | 'RESET' | 'SUSPENDED' | 'DISCARD' | 'RESUME'>
  /** Circuits that the decision is based on. */
  readonly totalTimes: number | undefined
  readonly timeoutMs: number | undefined
  /** Part of circuits that time out, 0 to 1. */
  readonly timeoutRate: number | undefined
  readonly closeMs: number | undefined
  readonly closeRate: number | undefined
}

/** Undefined when the kind of change is missing. */
export function parseBuildTimeout(text: string): BuildTimeout | undefined {
  const { words, values } = splitFields(text, 1)
  const [change] = words
  if (change === undefined) return undefined
  return {
    change,
    totalTimes: parseNumber(values.get('TOTAL_TIMES')),
    timeoutMs: parseNumber(values.get('TIMEOUT_MS')),
    timeoutRate: parseNumber(values.get('TIMEOUT_RATE')),
    closeMs: parseNumber(values.get('CLOSE_MS')),
    closeRate: parseNumber(values.get('CLOSE_RATE')),
  }
}

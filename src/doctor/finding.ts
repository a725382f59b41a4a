/** How a check came out. `unchecked`: there was no telling, and the text says why. */
export type Verdict = 'ok' | 'warning' | 'wrong' | 'unchecked'

export interface Finding {
  /** What was looked at: `tor`, `state directory`, `tor01: isolation`. */
  readonly name: string
  readonly verdict: Verdict
  /** What was seen. */
  readonly text: string
  /** How to mend it, a sentence or a command; undefined when there is nothing to mend. */
  readonly mend: string | undefined
}

export function ok(name: string, text: string): Finding {
  return { name, verdict: 'ok', text, mend: undefined }
}

/** Works, and may not be what the operator wants. */
export function warning(name: string, text: string, mend: string): Finding {
  return { name, verdict: 'warning', text, mend }
}

export function wrong(name: string, text: string, mend: string): Finding {
  return { name, verdict: 'wrong', text, mend }
}

export function unchecked(name: string, why: string, mend?: string): Finding {
  return { name, verdict: 'unchecked', text: why, mend }
}

/** The first of several things that were seen, or that all is well. */
export function worst(found: readonly Finding[], otherwise: Finding): readonly Finding[] {
  return found.length === 0 ? [otherwise] : found
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

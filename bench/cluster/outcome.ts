/** One thing that was looked at, and whether it is as it should be. */
export interface Finding {
  readonly what: string
  readonly wanted: string
  /** A number to two decimals. */
  readonly got: number | string
  readonly isMet: boolean
}

/** What else is worth knowing; nobody holds it to anything. */
export interface Outcome {
  readonly findings: readonly Finding[]
  readonly notes: readonly string[]
}

export function finding(what: string, wanted: string, got: number | string, isMet: boolean): Finding {
  return { what, wanted, got: typeof got === 'number' ? Math.round(got * 100) / 100 : got, isMet }
}

export const none = (what: string, got: number): Finding => finding(what, '0', got, got === 0)

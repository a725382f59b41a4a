/** What became of a configuration that was read anew. */
export interface Reloaded {
  /** Fields that hold as they are written from now on, as they were and as they are, without secrets. */
  readonly applied: readonly FieldChange[]
  /** Ids. Those that are removed finish their requests first; a changed one is removed and added by the same id and number. */
  readonly workers: {
    readonly added: readonly string[]
    readonly removed: readonly string[]
    readonly changed: readonly string[]
  }
  /** Fields that hold as they are written from the next start on. */
  readonly needsRestart: readonly string[]
  /** What else is to be known, a sentence each. */
  readonly notes: readonly string[]
}

export interface FieldChange {
  readonly field: string
  /** Undefined where nothing was said. */
  readonly from: unknown
  readonly to: unknown
}

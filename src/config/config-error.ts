/** Where a value of the configuration comes from. */
export type Place =
  | { readonly kind: 'file'; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: 'variable' | 'flag'; readonly name: string }

export interface ConfigFault {
  /** `health.check_interval`; empty for the configuration as a whole. */
  readonly field: string
  readonly place?: Place | undefined
  /** What was wrong and what would be right. */
  readonly message: string
}

/** Everything that is wrong with a configuration, each fault with where it is, the name, the value and what would be right. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  /** As lines of text. */
  readonly faults: readonly string[]
  readonly details: readonly ConfigFault[]

  constructor(faults: readonly (string | ConfigFault)[]) {
    const details = faults.map((fault) => (typeof fault === 'string' ? { field: '', message: fault } : fault))
    const lines = details.map(faultText)
    super(`The configuration has ${lines.length} fault${lines.length === 1 ? '' : 's'}:\n  ${lines.join('\n  ')}`)
    this.faults = lines
    this.details = details
  }
}

/** `cbtor.yaml:3:5`, `CBTOR_LISTEN`, `--listen`. */
export function showPlace(place: Place): string {
  return place.kind === 'file' ? `${place.file}:${place.line}:${place.column}` : place.name
}

/** A variable or a flag names its field already. */
function faultText({ field, place, message }: ConfigFault): string {
  const named = place?.kind === 'file' || place === undefined ? field : ''
  return [place && showPlace(place), named, message].filter(Boolean).join(': ')
}

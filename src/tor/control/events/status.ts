import { parseNumber, splitFields } from '../text.ts'
import type { Open } from './open.ts'

/** STATUS_CLIENT, STATUS_GENERAL and STATUS_SERVER events (control-spec 4.1.10). */
export interface Status {
  readonly severity: Open<'NOTICE' | 'WARN' | 'ERR'>
  readonly action: Open<
    | 'BOOTSTRAP'
    | 'ENOUGH_DIR_INFO'
    | 'NOT_ENOUGH_DIR_INFO'
    | 'CIRCUIT_ESTABLISHED'
    | 'CIRCUIT_NOT_ESTABLISHED'
    | 'CONSENSUS_ARRIVED'
    | 'CLOCK_JUMPED'
    | 'CLOCK_SKEW'
    | 'DANGEROUS_VERSION'
    | 'TOO_MANY_CONNECTIONS'
  >
  /** The arguments of the action, by their names. */
  readonly values: ReadonlyMap<string, string>
  /** With the action BOOTSTRAP only. */
  readonly bootstrap: Bootstrap | undefined
}

/**
 * How far Tor has come at its start, from an event or from `GETINFO status/bootstrap-phase` (control-spec 5.5). Never
 * goes back: it stays at 100 when the network is lost.
 */
export interface Bootstrap {
  /** 0 to 100. */
  readonly progress: number
  /** Only `starting` and `done` are sure to occur. */
  readonly tag: string
  readonly summary: string
  /** Why it is stuck, as Tor words it; with severity WARN. */
  readonly warning: string | undefined
  readonly reason: string | undefined
  /** How many such problems there were. */
  readonly count: number | undefined
  /** What Tor advises: to tell the user now, or to wait. */
  readonly recommendation: Open<'warn' | 'ignore'> | undefined
  /** The relay that could not be reached. */
  readonly hostId: string | undefined
  readonly hostAddress: string | undefined
}

/** Undefined when the severity or the action is missing. */
export function parseStatus(text: string): Status | undefined {
  const { words, values } = splitFields(text, 2)
  const [severity, action] = words
  if (severity === undefined || action === undefined) return undefined
  return { severity, action, values, bootstrap: action === 'BOOTSTRAP' ? bootstrapOf(values) : undefined }
}

function bootstrapOf(values: ReadonlyMap<string, string>): Bootstrap | undefined {
  const progress = parseNumber(values.get('PROGRESS'))
  if (progress === undefined) return undefined
  return {
    progress,
    tag: values.get('TAG') ?? '',
    summary: values.get('SUMMARY') ?? '',
    warning: values.get('WARNING'),
    reason: values.get('REASON'),
    count: parseNumber(values.get('COUNT')),
    recommendation: values.get('RECOMMENDATION'),
    hostId: values.get('HOSTID'),
    hostAddress: values.get('HOSTADDR'),
  }
}

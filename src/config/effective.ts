/** A configuration as it holds, written as in the file. */
import type { LocalReceiver } from '../jobs/local-receivers.ts'
import { type ListenAddress, showListenAddress } from '../listen/address.ts'
import { DURATION_PATTERN } from './duration.ts'
import { type ConfigField, configFields } from './fields.ts'
import type { FieldSchema } from './json-schema.ts'
import { SIZE_PATTERN } from './limits.ts'
import type { ServiceConfig } from './read-config.ts'

export interface EffectiveField {
  readonly field: ConfigField
  /** As it is used inside: milliseconds, bytes. Undefined where nothing is said and nothing is the default. */
  readonly value: unknown
}

/** Every field with one value, and every list, in the order of the schema. */
export function effectiveFields(config: ServiceConfig): readonly EffectiveField[] {
  return configFields().flatMap((field) => {
    const value = field.path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], config)
    // `tls` and `politeness` are a word, or a section of fields.
    const isSection = field.kind === 'section' || (field.kind === 'scalar' && isPlain(value) && !isAddress(value))
    return isSection ? [] : [{ field, value }]
  })
}

/** As somebody would write it: with units, and with secrets struck out. */
export function written({ field, value }: EffectiveField): unknown {
  return writtenAs(value, field.schema)
}

function writtenAs(value: unknown, schema: FieldSchema | undefined): unknown {
  if (Array.isArray(value)) return value.map((each) => writtenAs(each, schema?.items))
  if (value === Number.POSITIVE_INFINITY) return 'off'
  if (typeof value === 'number' && schema?.pattern === DURATION_PATTERN) return showDuration(value)
  if (typeof value === 'number' && schema?.pattern === SIZE_PATTERN) return showSize(value)
  if (typeof value === 'string') return struckOut(value)
  if (isAddress(value)) return showListenAddress(value)
  if (!isPlain(value)) return value
  if ('prefix' in value) return showReceiver(value as unknown as LocalReceiver)
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, writtenAs(each, undefined)]))
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isAddress(value: unknown): value is ListenAddress {
  return isPlain(value) && (('host' in value && 'port' in value) || 'path' in value)
}

function showReceiver({ address, prefix, family, port }: LocalReceiver): string {
  const network = prefix === (family === 4 ? 32 : 128) ? address : `${address}/${prefix}`
  return family === 4 ? `${network}:${port}` : `[${network}]:${port}`
}

const DURATIONS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const

function showDuration(ms: number): string {
  const [unit, factor] = DURATIONS.find(([, each]) => ms > 0 && ms % each === 0) ?? ['s', 1_000]
  return `${ms / factor}${unit}`
}

const SIZES = [
  ...(['TiB', 'GiB', 'MiB', 'KiB'] as const).map((unit, n) => [unit, 2 ** (40 - 10 * n)] as const),
  ...(['TB', 'GB', 'MB', 'kB', 'B'] as const).map((unit, n) => [unit, 10 ** (12 - 3 * n)] as const),
]

function showSize(bytes: number): string {
  const [unit, factor] = SIZES.find(([, each]) => bytes % each === 0) ?? ['B', 1]
  return `${bytes / factor}${unit}`
}

/** Passwords in URLs, and what torrc lines have of secrets: of bridges, of proxies, of the control port. */
function struckOut(text: string): string {
  return text
    .replace(/\/\/[^/?#]*@/, '//***@')
    .replace(/^\s*(Bridge|HashedControlPassword|\w*(?:Password|Authenticator))\s.*$/i, '$1 ***')
}

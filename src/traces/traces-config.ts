import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'

/** Where traces go, and which of them. */
export interface TracesConfig {
  readonly collector: {
    /** An IP address: no name is looked up outside Tor. */
    readonly host: string
    readonly port: number
    readonly path: string
    /** Certificates that the collector's may be of, in PEM, instead of the known ones. Undefined: it speaks plain HTTP. */
    readonly tls: { readonly ca: string | undefined } | undefined
    readonly headers: Readonly<Record<string, string>>
    readonly timeoutMs: number
  }
  /** Of the service. */
  readonly resource: Readonly<Record<string, string>>
  readonly sampler: {
    /** Whether a trace of whoever asks is kept as they keep it. */
    readonly isParentBased: boolean
    /** The share of the other traces that are kept. */
    readonly ratio: number
  }
}

/** Throws what is wrong with a variable, and what would be right. */
export class TracesFault extends Error {
  override readonly name = 'TracesFault'
}

type Env = Readonly<Record<string, string | undefined>>

const DEFAULT_ENDPOINT = 'http://127.0.0.1:4318'
const TIMEOUT_MS = 10_000
const SAMPLERS = ['always_on', 'always_off', 'traceidratio'] as const

/**
 * Reads the standard variables of OpenTelemetry (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/):
 * undefined when they ask for no traces. Throws a `TracesFault`.
 */
export function readTracesConfig(env: Env): TracesConfig | undefined {
  const read = (name: string) => env[name]?.trim() || undefined
  /** The variable for traces alone is stronger. */
  const ofExporter = (name: string) => {
    const own = `OTEL_EXPORTER_OTLP_TRACES_${name}`
    const common = `OTEL_EXPORTER_OTLP_${name}`
    return read(own) !== undefined ? { name: own, value: read(own) } : { name: common, value: read(common) }
  }
  if (read('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return undefined
  const exporter = read('OTEL_TRACES_EXPORTER')
  const endpoint = ofExporter('ENDPOINT')
  if (exporter === 'none' || (exporter === undefined && endpoint.value === undefined)) return undefined
  if (exporter !== undefined && exporter !== 'otlp') {
    throw new TracesFault(`OTEL_TRACES_EXPORTER: "${exporter}" is no exporter that there is: otlp or none`)
  }
  const protocol = ofExporter('PROTOCOL')
  if (protocol.value !== undefined && protocol.value !== 'http/json') {
    throw new TracesFault(`${protocol.name}: "${protocol.value}" is not spoken here: http/json`)
  }
  const { name, value = DEFAULT_ENDPOINT } = endpoint
  const isOfTraces = name === 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'
  return {
    collector: {
      ...collectorAt(name, value, isOfTraces),
      ...tlsOf(value, ofExporter('CERTIFICATE')),
      headers: pairsOf(ofExporter('HEADERS')),
      timeoutMs: numberOf(ofExporter('TIMEOUT'), TIMEOUT_MS, 1, 600_000),
    },
    resource: {
      ...pairsOf({ name: 'OTEL_RESOURCE_ATTRIBUTES', value: read('OTEL_RESOURCE_ATTRIBUTES') }),
      ...(read('OTEL_SERVICE_NAME') && { 'service.name': read('OTEL_SERVICE_NAME') ?? '' }),
    },
    sampler: samplerOf(read('OTEL_TRACES_SAMPLER'), read('OTEL_TRACES_SAMPLER_ARG')),
  }
}

interface Variable {
  readonly name: string
  readonly value: string | undefined
}

function collectorAt(name: string, value: string, isOfTraces: boolean) {
  const url = URL.parse(value)
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new TracesFault(`${name}: "${value}" is not the URL of a collector, such as ${DEFAULT_ENDPOINT}`)
  }
  const named = url.hostname.replace(/^\[|\]$/g, '')
  const host = named === 'localhost' ? '127.0.0.1' : named
  if (isIP(host) === 0) {
    throw new TracesFault(
      `${name}: "${named}" is a name, and no name is looked up outside Tor: give the IP address of the collector, or localhost`,
    )
  }
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80))
  const path = isOfTraces ? url.pathname : `${url.pathname.replace(/\/$/, '')}/v1/traces`
  return { host, port, path: `${path}${url.search}` }
}

function tlsOf(endpoint: string, certificate: Variable): Pick<TracesConfig['collector'], 'tls'> {
  if (!endpoint.startsWith('https:')) return { tls: undefined }
  if (certificate.value === undefined) return { tls: { ca: undefined } }
  try {
    return { tls: { ca: readFileSync(certificate.value, 'utf8') } }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new TracesFault(`${certificate.name}: cannot read ${certificate.value}: ${why}`, { cause })
  }
}

/** `a=1,b=two%20words`. What stands there may be a secret, and is not repeated. */
function pairsOf({ name, value }: Variable): Record<string, string> {
  const pairs: Record<string, string> = {}
  for (const item of value?.split(',') ?? []) {
    if (item.trim() === '') continue
    const at = item.indexOf('=')
    const key = item.slice(0, at).trim()
    const decoded = decodedText(item.slice(at + 1).trim())
    if (at < 1 || !/^[\w.!#$&'*+^`|~-]+$/.test(key) || decoded === undefined) {
      throw new TracesFault(`${name}: must be pairs such as key=value, with commas between them and %20 for a blank`)
    }
    pairs[key] = decoded
  }
  return pairs
}

function decodedText(text: string): string | undefined {
  try {
    const decoded = decodeURIComponent(text)
    return /^[\t\x20-\x7e\x80-\u{10ffff}]*$/u.test(decoded) ? decoded : undefined
  } catch {
    return undefined
  }
}

function numberOf({ name, value }: Variable, otherwise: number, min: number, max: number): number {
  if (value === undefined) return otherwise
  const number = Number(value)
  if (Number.isFinite(number) && number >= min && number <= max) return number
  throw new TracesFault(`${name}: must be a number from ${min} to ${max}, not "${value}"`)
}

function samplerOf(name = 'parentbased_always_on', arg: string | undefined): TracesConfig['sampler'] {
  const isParentBased = name.startsWith('parentbased_')
  const kind = SAMPLERS.find((each) => each === name.replace(/^parentbased_/, ''))
  if (kind === undefined) {
    const known = SAMPLERS.flatMap((each) => [each, `parentbased_${each}`]).join(', ')
    throw new TracesFault(`OTEL_TRACES_SAMPLER: "${name}" is no sampler that there is: ${known}`)
  }
  const ratio = numberOf({ name: 'OTEL_TRACES_SAMPLER_ARG', value: kind === 'traceidratio' ? arg : undefined }, 1, 0, 1)
  return { isParentBased, ratio: kind === 'always_off' ? 0 : ratio }
}

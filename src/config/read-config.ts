import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { showListenAddress } from '../listen/address.ts'
import { exposureFaults } from './exposure.ts'
import { type ConfigDocument, configSchema } from './schema.ts'

export interface ServiceConfig extends Omit<ConfigDocument, 'state' | 'proxy'> {
  /** An absolute path. */
  readonly state: string
  readonly proxy: Omit<ConfigDocument['proxy'], 'auth'> & { readonly auth: ConfigDocument['auth'] }
}

/** Everything that is wrong with a configuration, each fault with the name, the value and what would be right. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(`The configuration has ${faults.length} fault${faults.length === 1 ? '' : 's'}:\n  ${faults.join('\n  ')}`)
    this.faults = faults
  }
}

type Environment = Readonly<Record<string, string | undefined>>

/** The variables that are read, and the field that each one sets. */
const VARIABLES = { CBTOR_LISTEN: 'listen', CBTOR_STATE: 'state', CBTOR_LOG: 'log', CBTOR_MODE: 'mode' } as const

/** Those that set no field: the file, and the key that commands show to a service. */
const OTHER_VARIABLES = ['CBTOR_CONFIG', 'CBTOR_KEY']

/**
 * Reads the configuration: defaults, then the file, then the environment, then `flags`. Throws a `ConfigError` with all
 * faults at once; an unknown field or `CBTOR_*` variable is one.
 */
export function readConfig(flags: Readonly<Record<string, string>>, env: Environment): ServiceConfig {
  const faults: string[] = []
  const { config: file = env.CBTOR_CONFIG, ...overrides } = flags
  const document: Record<string, unknown> = file === undefined ? {} : readFile(file, faults)
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('CBTOR_') || OTHER_VARIABLES.includes(name) || value === undefined) continue
    const field = VARIABLES[name as keyof typeof VARIABLES]
    if (field === undefined)
      faults.push(`${name}: not a variable that is read; there are ${Object.keys(VARIABLES).join(', ')}`)
    else document[field] = value
  }
  return parseConfig({ ...document, ...overrides }, env, faults)
}

/** Checks a configuration that is at hand already. */
export function parseConfig(document: unknown, env: Environment, faults: string[] = []): ServiceConfig {
  const parsed = configSchema.safeParse(document)
  if (!parsed.success) faults.push(...parsed.error.issues.flatMap((issue) => describe(issue, document)))
  const config = parsed.data
  if (config !== undefined) {
    faults.push(...duplicates(config.workers.map((worker) => worker.id)))
    faults.push(...sharedAddresses(config))
  }
  // Also when something else is wrong.
  const exposed = exposureSchema.safeParse(onlyFields(document, Object.keys(exposureSchema.shape)))
  if (exposed.success) faults.push(...exposureFaults(exposed.data))
  if (config === undefined || faults.length > 0) throw new ConfigError(faults)
  const proxy = { ...config.proxy, auth: config.proxy.auth ?? config.auth }
  return { ...config, proxy, state: resolve(config.state ?? defaultState(env)) }
}

const exposureSchema = configSchema.pick({ listen: true, auth: true, tls: true, proxy: true })

function onlyFields(document: unknown, names: readonly string[]): unknown {
  if (typeof document !== 'object' || document === null) return document
  return Object.fromEntries(Object.entries(document).filter(([name]) => names.includes(name)))
}

function readFile(path: string, faults: string[]): Record<string, unknown> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new ConfigError([`${path}: cannot be read: ${error instanceof Error ? error.message : error}`])
  }
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  for (const error of document.errors) faults.push(`${path}: ${error.message.split('\n')[0]}`)
  if (document.errors.length > 0) throw new ConfigError(faults)
  const value: unknown = document.toJS()
  if (value === null || value === undefined) return {}
  if (typeof value === 'object' && !Array.isArray(value)) return { ...value }
  throw new ConfigError([`${path}: expected fields, such as "listen: 127.0.0.1:32211"`])
}

/** Fields in which somebody may have put the secret itself, instead of the file that has it. */
const OF_SECRETS = /(?:file|password|secret|token|key)$/

function describe(issue: z.core.$ZodIssue, document: unknown): string[] {
  const path = issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `${[path, key].filter(Boolean).join('.')}: there is no such field`)
  }
  const value = issue.path.reduce<unknown>(
    (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
    document,
  )
  const isShown = value !== undefined && !OF_SECRETS.test(path)
  const shown = isShown ? `, not ${JSON.stringify(value)?.slice(0, 64)}` : ''
  return [`${path || 'configuration'}: ${issue.message}${shown}`]
}

function duplicates(ids: readonly string[]): string[] {
  const twice = new Set(ids.filter((id, index) => ids.indexOf(id) !== index))
  return [...twice].map((id) => `workers: the id ${JSON.stringify(id)} is there more than once`)
}

/** Of what listens, what has the address of another; 0 is another port each time. */
function sharedAddresses({ listen, proxy }: ConfigDocument): string[] {
  const taken = new Map<string, string>()
  const addresses = { listen, 'proxy.http': proxy.http, 'proxy.socks': proxy.socks, 'proxy.both': proxy.both }
  return Object.entries(addresses).flatMap(([name, at]) => {
    if (at === undefined || at === 'off' || ('port' in at && at.port === 0)) return []
    const address = showListenAddress(at)
    const other = taken.get(address)
    taken.set(address, other ?? name)
    const hint = name === 'proxy.both' ? '; it is one port for HTTP and SOCKS5, so leave the other two out' : ''
    return other === undefined ? [] : [`${name}: expected another address than that of ${other}, ${address}${hint}`]
  })
}

/** As the XDG base directory specification has it for state. */
function defaultState(env: Environment): string {
  return join(env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local', 'state'), 'cbtor')
}

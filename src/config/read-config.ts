import { homedir, hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { showListenAddress } from '../listen/address.ts'
import { type ClusterConfig, clusterConfig, clusterFaults } from './cluster.ts'
import { ConfigError, type ConfigFault, type Place } from './config-error.ts'
import { exposureFaults } from './exposure.ts'
import { issueFaults } from './issue-faults.ts'
import { type ConfigDocument, configSchema } from './schema.ts'
import { torrcFaults } from './torrc-faults.ts'
import { type Environment, readVariables } from './variables.ts'
import { readYamlFile, type YamlFile } from './yaml-file.ts'

export { ConfigError } from './config-error.ts'

export interface ServiceConfig extends Omit<ConfigDocument, 'state' | 'proxy' | 'cluster'> {
  /** An absolute path. */
  readonly state: string
  readonly proxy: Omit<ConfigDocument['proxy'], 'auth'> & { readonly auth: ConfigDocument['auth'] }
  readonly cluster: ClusterConfig
}

/** A configuration, with where it comes from. */
export interface LoadedConfig {
  readonly config: ServiceConfig
  /** As it was written, in all places together. */
  readonly document: Readonly<Record<string, unknown>>
  readonly file: string | undefined
  /** Whether there is a file that says nothing. */
  readonly isEmpty: boolean
  /** Where the field was said; undefined when it was not. */
  placeOf(path: readonly PropertyKey[]): Place | undefined
}

/** Whoever has more reads no more of them. */
const MAX_FAULTS = 100

type PlaceOf = (path: readonly PropertyKey[], of?: 'value' | 'name') => Place | undefined

/**
 * Reads the configuration: defaults, then the file, then the environment, then `flags`. Throws a `ConfigError` with all
 * faults at once; an unknown field or `CBTOR_*` variable is one.
 */
export function readConfig(flags: Readonly<Record<string, string>>, env: Environment): ServiceConfig {
  return loadConfig(flags, env).config
}

/** As `readConfig`, with where each value comes from. `flags`: `config`, and fields by their names. */
export function loadConfig(flags: Readonly<Record<string, string>>, env: Environment): LoadedConfig {
  const { config: file = env.CBTOR_CONFIG, ...overrides } = flags
  const variables = readVariables(env)
  const faults = [...variables.faults]
  if (file === '') faults.push({ field: '', place: fileFrom(flags), message: 'expected the path of a file, not ""' })
  const yaml = file === undefined || file === '' ? undefined : readOr(file, faults)
  const document = structuredClone(yaml?.fields ?? {}) as Record<string, unknown>
  const places = new Map<string, Place>()
  for (const { path, value, variable } of variables.set) {
    put(document, path, value)
    places.set(path.join('.'), { kind: 'variable', name: variable })
  }
  for (const [name, value] of Object.entries(overrides)) {
    document[name] = value
    places.set(name, { kind: 'flag', name: `--${name}` })
  }

  const placeOf: PlaceOf = (path, of) => {
    for (let length = path.length; length > 0; length--) {
      const place = places.get(path.slice(0, length).join('.'))
      if (place !== undefined) return place
    }
    return yaml?.placeOf(path, of)
  }
  const config = check(document, env, faults, placeOf)
  return {
    ...{ config, document, file, isEmpty: yaml?.isEmpty ?? false },
    placeOf: (path) => (isSaid(document, path) ? placeOf(path) : undefined),
  }
}

/** Checks a configuration that is at hand already. */
export function parseConfig(document: unknown, env: Environment): ServiceConfig {
  return check(document, env, [], () => undefined)
}

function fileFrom({ config }: Readonly<Record<string, string>>): Place {
  return config === undefined ? { kind: 'variable', name: 'CBTOR_CONFIG' } : { kind: 'flag', name: '--config' }
}

/** Where the file is no file of fields, what variables and flags say wrong is told all the same. */
function readOr(file: string, faults: ConfigFault[]): YamlFile | undefined {
  try {
    return readYamlFile(file)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    faults.push(...error.details)
    return undefined
  }
}

function check(document: unknown, env: Environment, faults: ConfigFault[], placeOf: PlaceOf): ServiceConfig {
  const add = (path: readonly PropertyKey[], message: string, of?: 'name') =>
    faults.push({ field: path.map(String).join('.'), place: placeOf(path, of), message })

  const parsed = configSchema.safeParse(document)
  if (!parsed.success) {
    for (const { path, isUnknown, message } of issueFaults(parsed.error.issues, document)) {
      add(path, message, isUnknown ? 'name' : undefined)
      if (faults.length < MAX_FAULTS) continue
      faults.push({ field: '', message: `there are more faults than these ${MAX_FAULTS}` })
      throw new ConfigError(faults)
    }
  }
  const config = parsed.data
  if (config !== undefined) {
    for (const { n, id } of repeatedIds(config)) add(['workers', n, 'id'], `another worker has the id ${id} already`)
    for (const [field, message] of sharedAddresses(config)) add(field.split('.'), message)
    for (const { path, message } of torrcFaults(config)) add(path, message)
    for (const { field, message } of clusterFaults(config.store, config.cluster)) add(field.split('.'), message)
  }
  // Also when something else is wrong.
  const exposed = exposureSchema.safeParse(onlyFields(document, Object.keys(exposureSchema.shape)))
  if (exposed.success) for (const { field, message } of exposureFaults(exposed.data)) add(field.split('.'), message)
  if (config === undefined || faults.length > 0) throw new ConfigError(faults)
  const proxy = { ...config.proxy, auth: config.proxy.auth ?? config.auth }
  const state = resolve(config.state ?? defaultState(env))
  return { ...config, proxy, state, cluster: clusterConfig(config.cluster, state, hostname()) }
}

const exposureSchema = configSchema.pick({ listen: true, auth: true, tls: true, proxy: true })

function onlyFields(document: unknown, names: readonly string[]): unknown {
  if (typeof document !== 'object' || document === null) return document
  return Object.fromEntries(Object.entries(document).filter(([name]) => names.includes(name)))
}

/** What stands in its way and has no fields, such as `politeness: off`, gives way. */
function put(document: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key = '', ...rest] = path
  if (rest.length === 0) {
    document[key] = value
    return
  }
  const inner = document[key]
  const section = typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? { ...inner } : {}
  document[key] = section
  put(section, rest, value)
}

function isSaid(document: unknown, path: readonly PropertyKey[]): boolean {
  const value = path.reduce<unknown>(
    (at, key) => (at as Record<PropertyKey, unknown> | undefined | null)?.[key],
    document,
  )
  return value !== undefined
}

function repeatedIds({ workers }: ConfigDocument): readonly { readonly n: number; readonly id: string }[] {
  const ids = workers.map(({ id }) => id)
  return ids.flatMap((id, n) => (ids.indexOf(id) < n ? [{ n, id }] : []))
}

/** Of what listens, what has the address of another; 0 is another port each time. */
function sharedAddresses({ listen, proxy, cluster }: ConfigDocument): [field: string, message: string][] {
  const taken = new Map<string, string>()
  const ports = { 'proxy.http': proxy.http, 'proxy.socks': proxy.socks, 'proxy.both': proxy.both }
  const addresses = { listen, ...ports, 'cluster.worker_port': cluster.worker_port }
  return Object.entries(addresses).flatMap(([name, at]): [string, string][] => {
    if (at === undefined || at === 'off' || ('port' in at && at.port === 0)) return []
    const address = showListenAddress(at)
    const other = taken.get(address)
    taken.set(address, other ?? name)
    const hint = name === 'proxy.both' ? '; it is one port for HTTP and SOCKS5, so leave the other two out' : ''
    return other === undefined ? [] : [[name, `expected another address than that of ${other}, ${address}${hint}`]]
  })
}

/** As the XDG base directory specification has it for state. */
function defaultState(env: Environment): string {
  return join(env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local', 'state'), 'cbtor')
}

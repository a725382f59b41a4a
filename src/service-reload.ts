/** The configuration read anew while the service runs: what can be applied is, without losing a request. */
import { isDeepStrictEqual } from 'node:util'
import { InputError } from './api/problems.ts'
import { showPlace } from './config/config-error.ts'
import { type EffectiveField, effectiveFields, written } from './config/effective.ts'
import { ConfigError, type ServiceConfig } from './config/read-config.ts'
import { CbtorError } from './domain/errors.ts'
import type { FieldChange, Reloaded } from './domain/reload.ts'
import type { WorkerPlan } from './service-transition.ts'

type WorkerConfig = ServiceConfig['workers'][number]

/** Sections all of whose fields can be applied at once, */
const LIVE_SECTIONS = ['circuits', 'exits', 'limits', 'jobs', 'politeness', 'health', 'checks']
/** and single fields. All others hold from the next start on. */
const LIVE_FIELDS = [
  'hosts',
  'proxy.idle_timeout',
  'log',
  'log_targets',
  'mode',
  'workers',
  'targets.allow_reserved',
  'targets.allow_ports',
  'targets.allow',
  'targets.deny',
]

export function appliesLive(field: string): boolean {
  return LIVE_FIELDS.includes(field) || LIVE_SECTIONS.includes(field.split('.')[0] ?? '')
}

/** What the service does for a reload. */
export interface Reloadable {
  /** Throws a `ConfigError` with all faults. */
  read(): ServiceConfig
  /**
   * Makes what the workers that come or change need, and changes nothing yet. Rejects with a `ConfigError` that says of which worker it
   * cannot be made, with nothing left of the others.
   */
  prepare(workers: readonly WorkerConfig[]): Promise<ReadonlyMap<string, WorkerPlan['come'][number]['driver']>>
  /** Tells the parts what holds from now on. `isChanged`: whether any field below that name is another. Returns what else is to be known. */
  apply(config: ServiceConfig, isChanged: (name: string) => boolean): readonly string[]
  /**
   * Brings workers in and takes others out; resolves when that is done, which may take minutes, or soon after `superseded` aborts: with
   * the ids of those that are still as they were. It never rejects.
   */
  change(plan: WorkerPlan, superseded: AbortSignal): Promise<readonly string[]>
  onReloaded(reloaded: Reloaded): void
  onRefused(error: ConfigError): void
}

/** One reload after the other. */
export class Reload {
  readonly #service: Reloadable
  #running: ServiceConfig
  #last: Promise<unknown> = Promise.resolve()
  #changing: Promise<void> = Promise.resolve()
  #superseded = new AbortController()
  #hasEnded = false

  /** `running`: what the service was started with. */
  constructor(running: ServiceConfig, service: Reloadable) {
    this.#running = running
    this.#service = service
  }

  /** Resolves once the workers of the latest reload have come and gone. */
  get settled(): Promise<void> {
    return this.#changing
  }

  /** Reads no more. */
  close(): void {
    this.#hasEnded = true
  }

  /** Reads no more, and resolves once what has begun is over. */
  async end(): Promise<void> {
    this.close()
    await this.#last
    await this.#changing
  }

  /**
   * Resolves once all is applied; workers that go may still finish their requests. Of a configuration with faults nothing is applied,
   * and it rejects with all of them. Workers that an earlier reload has not come to yet go by this one.
   */
  reload(): Promise<Reloaded> {
    const reloaded = this.#last.then(() => this.#reload())
    this.#last = reloaded.catch(() => {})
    return reloaded
  }

  async #reload(): Promise<Reloaded> {
    this.#throwIfClosed()
    const next = this.#read()
    this.#superseded.abort()
    await this.#changing
    this.#throwIfClosed()
    const { plan, drivers } = await this.#prepared(next)
    const before = this.#running
    const fields = changesOf(before, next)
    const live = fields.filter(({ name }) => appliesLive(name))
    this.#running = withLive(before, next)
    const isChanged = (name: string) => live.some((each) => each.name === name || each.name.startsWith(`${name}.`))
    const notes = this.#service.apply(this.#running, isChanged)
    const reloaded: Reloaded = {
      applied: live.filter(({ name }) => name !== 'workers').map(({ change }) => change),
      workers: plan,
      needsRestart: fields.flatMap(({ name }) => (appliesLive(name) ? [] : [name])),
      notes,
    }
    this.#superseded = new AbortController()
    const change = {
      come: plan.added.map((id) => ({ id, driver: driverOf(id) })),
      leave: plan.removed,
      renew: plan.changed.map((id) => ({ id, driver: driverOf(id) })),
    }
    this.#changing = this.#service.change(change, this.#superseded.signal).then((asTheyWere) => {
      this.#running = withFormer(this.#running, before.workers, asTheyWere)
    })
    this.#service.onReloaded(reloaded)
    return reloaded

    function driverOf(id: string) {
      const driver = drivers.get(id)
      if (driver === undefined) throw new Error(`no driver was made for ${id}`)
      return driver
    }
  }

  #throwIfClosed(): void {
    if (this.#hasEnded)
      throw new CbtorError('shutting_down', 'Cannot read the configuration anew: the service is shutting down')
  }

  #read(): ServiceConfig {
    try {
      return this.#service.read()
    } catch (error) {
      throw this.#refused(error)
    }
  }

  async #prepared(next: ServiceConfig) {
    const plan = planOf(this.#running.workers, next.workers)
    const come = next.workers.filter(({ id }) => plan.added.includes(id) || plan.changed.includes(id))
    try {
      return { plan, drivers: await this.#service.prepare(come) }
    } catch (error) {
      throw this.#refused(error)
    }
  }

  #refused(error: unknown): unknown {
    if (error instanceof ConfigError) this.#service.onRefused(error)
    return error
  }
}

/** For callers of the API: all faults, with their lines. */
export function throwProblem(error: unknown): never {
  if (!(error instanceof ConfigError)) throw error
  const faults = error.details.map(({ field, place, message }) => ({
    path: field || 'the file',
    message: `${place === undefined ? '' : `at ${showPlace(place)} `}${message}`,
    code: 'config_invalid' as const,
  }))
  throw new InputError(faults, 'Cannot apply the configuration')
}

function planOf(before: readonly WorkerConfig[], next: readonly WorkerConfig[]): Reloaded['workers'] {
  const known = new Map(before.map((worker) => [worker.id, worker]))
  const wanted = new Set(next.map(({ id }) => id))
  return {
    added: next.flatMap(({ id }) => (known.has(id) ? [] : [id])),
    removed: before.flatMap(({ id }) => (wanted.has(id) ? [] : [id])),
    changed: next.flatMap((worker) => {
      const old = known.get(worker.id)
      return old === undefined || isDeepStrictEqual(old, worker) ? [] : [worker.id]
    }),
  }
}

function changesOf(
  before: ServiceConfig,
  next: ServiceConfig,
): readonly { readonly name: string; readonly change: FieldChange }[] {
  const old = new Map(effectiveFields(before).map((each) => [each.field.name, each]))
  const now = new Map(effectiveFields(next).map((each) => [each.field.name, each]))
  const shown = (each: EffectiveField | undefined) => (each?.value === undefined ? undefined : written(each))
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((name) => {
    const [from, to] = [old.get(name), now.get(name)]
    if (isDeepStrictEqual(from?.value, to?.value)) return []
    return [{ name, change: { field: name, from: shown(from), to: shown(to) } }]
  })
}

/** The configuration with those of its workers that are as they were before, gone or not. */
function withFormer(
  running: ServiceConfig,
  before: readonly WorkerConfig[],
  asTheyWere: readonly string[],
): ServiceConfig {
  if (asTheyWere.length === 0) return running
  const former = before.filter(({ id }) => asTheyWere.includes(id))
  return { ...running, workers: [...running.workers.filter(({ id }) => !asTheyWere.includes(id)), ...former] }
}

/** The running configuration with what can be applied of the next one. */
function withLive(running: ServiceConfig, next: ServiceConfig): ServiceConfig {
  const { ca_file, ...targets } = next.targets
  return {
    ...running,
    ...{ hosts: next.hosts, log: next.log, log_targets: next.log_targets, mode: next.mode, workers: next.workers },
    ...{ circuits: next.circuits, exits: next.exits, limits: next.limits, jobs: next.jobs },
    ...{ politeness: next.politeness, health: next.health, checks: next.checks },
    proxy: { ...running.proxy, idle_timeout: next.proxy.idle_timeout },
    targets: { ...targets, ...(running.targets.ca_file !== undefined && { ca_file: running.targets.ca_file }) },
  }
}

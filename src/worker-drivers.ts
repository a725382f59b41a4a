import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type BoxFile, boxFilePath, readBoxFile } from './boxes/box-file.ts'
import { ConfigError, type ConfigFault } from './config/config-error.ts'
import type { ServiceConfig } from './config/read-config.ts'
import type { Clock } from './lib/clock.ts'
import type { Logger } from './lib/log.ts'
import type { Random } from './lib/random.ts'
import { circuitSupplyOf, exitMinimumOf, resupply } from './service-policy.ts'
import { openTunnels } from './service-tunnels.ts'
import { SshSession } from './ssh/session.ts'
import type { Tunnels } from './tunnel/tunnels.ts'
import type { CircuitSupply } from './workers/circuit-stock.ts'
import type { WorkerDriver } from './workers/driver.ts'
import type { ExitMinimum } from './workers/exits/exit-choice.ts'
import type { ControlCredentials } from './workers/external/control-endpoint.ts'
import { ExternalDriver } from './workers/external/external-driver.ts'
import { LocalDriver } from './workers/local/local-driver.ts'
import { OpenwrtDriver } from './workers/openwrt/openwrt-driver.ts'

type WorkerConfig = ServiceConfig['workers'][number]

export interface DriverParts {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Of this machine; undefined when no worker is on a box. */
  readonly tunnels: Tunnels | undefined
  /** Of the whole service: guards do not tell its workers apart. */
  readonly circuits: CircuitSupply
  /** How many exits must satisfy an exit rule; likewise. */
  readonly exits: ExitMinimum
}

/** Makes the drivers of a service, with what they share. Dispose it after all of them. */
export class WorkerDrivers implements AsyncDisposable {
  readonly #config: ServiceConfig
  readonly #parts: Pick<DriverParts, 'clock' | 'random' | 'logger'>
  readonly #instead: ((id: string) => WorkerDriver) | undefined
  readonly #circuits: CircuitSupply
  readonly #exits: ExitMinimum
  #tunnels: (Tunnels & AsyncDisposable) | undefined

  /** `instead`: makes all drivers, in tests. */
  constructor(
    config: ServiceConfig,
    parts: Pick<DriverParts, 'clock' | 'random' | 'logger'>,
    instead?: (id: string) => WorkerDriver,
  ) {
    this.#config = config
    this.#parts = parts
    this.#instead = instead
    this.#circuits = circuitSupplyOf(config, parts.clock)
    this.#exits = exitMinimumOf(config)
  }

  /** From when on whoever makes tunnels is there, if one of these workers needs it. */
  async prepare(workers: readonly WorkerConfig[], signal: AbortSignal): Promise<void> {
    const hasBoxes = workers.some(({ kind }) => kind === 'openwrt') && this.#instead === undefined
    if (hasBoxes) this.#tunnels ??= await openTunnels(this.#config, this.#parts, signal)
  }

  /** As `createDriver`. What it needs of the configuration beside its worker is that of the start. */
  create(worker: WorkerConfig): WorkerDriver {
    const shared = { circuits: this.#circuits, exits: this.#exits, tunnels: this.#tunnels }
    return this.#instead?.(worker.id) ?? createDriver(this.#config, worker, { ...this.#parts, ...shared })
  }

  /** All of them, by their workers' ids, or none. Rejects with a `ConfigError` that says of which worker it cannot be made. */
  async createAll(workers: readonly WorkerConfig[], signal: AbortSignal): Promise<ReadonlyMap<string, WorkerDriver>> {
    await using made = new AsyncDisposableStack()
    const drivers = new Map<string, WorkerDriver>()
    const faults: ConfigFault[] = []
    const told = (field: string, error: unknown) =>
      faults.push({ field, message: error instanceof Error ? error.message : String(error) })
    await this.prepare(workers, signal).catch((error: unknown) => told('tunnels', error))
    for (const worker of faults.length === 0 ? workers : []) {
      try {
        drivers.set(worker.id, made.use(this.create(worker)))
      } catch (error) {
        told('workers', error)
      }
    }
    if (faults.length > 0) throw new ConfigError(faults)
    made.move()
    return drivers
  }

  /** Numbers that all drivers share hold as they are here from now on. */
  reconfigure(config: Pick<ServiceConfig, 'circuits' | 'exits'>): void {
    resupply(this.#circuits, config)
    Object.assign(this.#exits, exitMinimumOf(config))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tunnels?.[Symbol.asyncDispose]()
  }
}

/** The driver of one worker, of the kind that the configuration says. Throws what is wrong with what it needs. */
export function createDriver(config: ServiceConfig, worker: WorkerConfig, parts: DriverParts): WorkerDriver {
  const { clock, random, circuits, exits } = parts
  const logger = parts.logger.child({ worker: worker.id })
  switch (worker.kind) {
    case 'local':
      return new LocalDriver({
        id: worker.id,
        directory: join(config.state, 'workers', worker.id),
        command: config.tor.command,
        torrc: [...config.tor.torrc, ...worker.torrc],
        rejectInternalAddresses: config.tor.reject_internal_addresses,
        circuits,
        exits,
        clock,
        logger,
      })
    case 'openwrt': {
      const { id, clearnet } = worker
      const { ssh, tunnel } = readBoxFile(boxFilePath(config.state, id))
      const { tunnels } = parts
      if (tunnels === undefined) throw new Error(`Cannot use worker ${id}: there is nobody who makes its tunnel`)
      const target = { ...ssh, privateKey: readKey(ssh, id) }
      const shell = new SshSession({ target, clock, logger })
      return new OpenwrtDriver({
        id,
        tunnel: tunnel.n,
        clearnet,
        shell,
        tunnels,
        circuits,
        exits,
        clock,
        random,
        logger,
      })
    }
    case 'external': {
      const { id, socks, control: at } = worker
      const credentials = credentialsOf(worker)
      const control = at && credentials && { at, credentials }
      return new ExternalDriver({ id, socks, ...(control && { control }), circuits, exits, clock, random, logger })
    }
  }
}

function readKey({ keyFile }: BoxFile['ssh'], id: string): string {
  try {
    return readFileSync(keyFile, 'utf8')
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`Cannot use worker ${id}: the key for SSH to its box cannot be read: ${why}`, { cause })
  }
}

/** A password is read once, at the start, and its line end is none of it. */
function credentialsOf(worker: Extract<WorkerConfig, { kind: 'external' }>): ControlCredentials | undefined {
  const { cookie_file: cookie, password_file: password } = worker
  if (cookie !== undefined) return { method: 'cookie-file', path: cookie }
  if (password === undefined) return undefined
  try {
    return { method: 'password', password: readFileSync(password, 'utf8').replace(/\r?\n$/, '') }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`Cannot use worker ${worker.id}: its password_file cannot be read: ${why}`, { cause })
  }
}

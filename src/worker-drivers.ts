import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type BoxFile, boxFilePath, readBoxFile } from './boxes/box-file.ts'
import type { ServiceConfig } from './config/read-config.ts'
import type { Clock } from './lib/clock.ts'
import type { Logger } from './lib/log.ts'
import type { Random } from './lib/random.ts'
import { SshSession } from './ssh/session.ts'
import type { Tunnels } from './tunnel/tunnels.ts'
import type { CircuitSupply } from './workers/circuit-stock.ts'
import type { WorkerDriver } from './workers/driver.ts'
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
}

/** The driver of one worker, of the kind that the configuration says. Throws what is wrong with what it needs. */
export function createDriver(config: ServiceConfig, worker: WorkerConfig, parts: DriverParts): WorkerDriver {
  const { clock, random, circuits } = parts
  const logger = parts.logger.child({ worker: worker.id })
  const exits = { exits: config.exits.min_exits, families: config.exits.min_families }
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

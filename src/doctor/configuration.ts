import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { boxFilePath, readBoxFile } from '../boxes/box-file.ts'
import type { ServiceConfig } from '../config/read-config.ts'
import { torDirectory } from '../tor/tor-directory.ts'
import { workerTorrc } from '../tor/torrc/worker-torrc.ts'
import { type Finding, messageOf, ok, warning, worst, wrong } from './finding.ts'

type WorkerConfig = ServiceConfig['workers'][number]

const NAME = 'configuration'

/** What the service would only notice when it starts: files that are missing or open to others, paths that are too long. */
export function checkConfiguration(config: ServiceConfig): readonly Finding[] {
  const found = [...caFaults(config), ...config.workers.flatMap((worker) => workerFaults(config, worker))]
  return worst(found, ok(NAME, showWorkers(config.workers)))
}

/** One for each fault of a configuration that cannot be used at all. */
export function configurationFaults(faults: readonly string[]): readonly Finding[] {
  return faults.map((fault) => wrong(NAME, fault, 'docs/configuration.md has every field'))
}

function showWorkers(workers: readonly WorkerConfig[]): string {
  const shown = workers.slice(0, 8).map(({ id, kind }) => `${id} (${kind})`)
  return `without a fault; ${[...shown, ...(workers.length > 8 ? [`${workers.length - 8} more`] : [])].join(', ')}`
}

function caFaults({ targets: { ca_file: path } }: ServiceConfig): readonly Finding[] {
  if (path === undefined) return []
  const name = `${NAME}: targets.ca_file`
  try {
    if (readFileSync(path, 'utf8').includes('-----BEGIN CERTIFICATE-----')) return []
    return [wrong(name, `${path} holds no certificate`, 'Give a file of PEM certificates')]
  } catch (error) {
    return [wrong(name, messageOf(error), 'Give a file of PEM certificates')]
  }
}

function workerFaults(config: ServiceConfig, worker: WorkerConfig): readonly Finding[] {
  const name = `${NAME}: ${worker.id}`
  switch (worker.kind) {
    case 'local':
      return torrcFaults(name, config, worker.id, worker.torrc)
    case 'external':
      return [worker.cookie_file, worker.password_file].flatMap((path) =>
        path === undefined ? [] : secretFaults(name, path, path === worker.password_file),
      )
    case 'openwrt':
      try {
        const { ssh } = readBoxFile(boxFilePath(config.state, worker.id))
        return secretFaults(name, ssh.keyFile, true)
      } catch (error) {
        return [wrong(name, messageOf(error), 'Make it a worker: cbtor workers install root@ADDRESS')]
      }
  }
}

function torrcFaults(name: string, config: ServiceConfig, id: string, lines: readonly string[]): readonly Finding[] {
  const { state, tor } = config
  try {
    workerTorrc({
      directory: torDirectory(join(state, 'workers', id)),
      owner: process.pid,
      rejectInternalAddresses: tor.reject_internal_addresses,
      extra: [...tor.torrc, ...lines],
    })
    return []
  } catch (error) {
    // Lines that are refused are faults of the configuration.
    if (error instanceof RangeError) return [wrong(name, error.message, 'Write a shorter path into "state"')]
    throw error
  }
}

/** `isOurs`: nobody but us has to read it. A cookie may be for a group, of those who may control that Tor. */
function secretFaults(name: string, path: string, isOurs: boolean): readonly Finding[] {
  let mode: number
  try {
    mode = statSync(path).mode & 0o777
    readFileSync(path)
  } catch (error) {
    return [wrong(name, messageOf(error), `Let the user who runs the service read ${path}`)]
  }
  if (mode & 0o007) return [wrong(name, `everybody may read ${path}`, `chmod o= ${path}`)]
  if (isOurs && mode & 0o070) return [warning(name, `a group may read ${path}`, `chmod 600 ${path}`)]
  return []
}

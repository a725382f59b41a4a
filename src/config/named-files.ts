import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { boxFilePath, readBoxFile } from '../boxes/box-file.ts'
import { readPassword, readPoolSecret } from '../cluster/pool-secret.ts'
import { CertificateError, loadCertificate } from '../listen/certificate.ts'
import type { ServiceConfig } from './read-config.ts'
import type { Warning } from './unwise.ts'
import type { Environment } from './variables.ts'

/** What is wrong with files that a configuration names, and what may be right by the time that they are needed. */
export interface NamedFiles {
  readonly faults: readonly Warning[]
  readonly warnings: readonly Warning[]
}

/** Looks at the files, for the user who asks: the service may run as another one. */
export async function lookAtFiles(config: ServiceConfig, env: Environment): Promise<NamedFiles> {
  const faults: Warning[] = []
  const warnings: Warning[] = []
  const { tls, targets, tunnels, workers, tor, store, cluster } = config
  const to = (list: Warning[], field: string) => (message: string) => list.push({ field, message })

  if (typeof tls === 'object') {
    await loadCertificate(tls).catch((error: unknown) => {
      if (!(error instanceof CertificateError)) throw error
      faults.push({ field: `tls.${error.field}`, message: error.message })
    })
  }
  if (targets.ca_file !== undefined) {
    const text = read(targets.ca_file, to(faults, 'targets.ca_file'))
    if (text !== undefined && !text.includes('-----BEGIN CERTIFICATE-----'))
      faults.push({ field: 'targets.ca_file', message: `${targets.ca_file} holds no certificate: expected a PEM file` })
  }
  if (store !== 'embedded') {
    const { secret_file: secret, password_file: password, ca_file: ca } = cluster
    tried(() => readPoolSecret(secret), to(faults, 'cluster.secret_file'))
    if (password !== undefined) tried(() => readPassword(password), to(faults, 'cluster.password_file'))
    if (ca !== undefined) read(ca, to(faults, 'cluster.ca_file'))
  }
  for (const [n, worker] of workers.entries()) {
    if (worker.kind === 'openwrt') {
      try {
        readBoxFile(boxFilePath(config.state, worker.id))
      } catch (error) {
        faults.push({ field: `workers.${n}.id`, message: error instanceof Error ? error.message : String(error) })
      }
    }
    if (worker.kind !== 'external') continue
    const { cookie_file: cookie, password_file: password } = worker
    if (password !== undefined) read(password, to(faults, `workers.${n}.password_file`))
    // Tor writes it when it starts.
    if (cookie !== undefined) read(cookie, to(warnings, `workers.${n}.cookie_file`))
  }
  if (tunnels.helper !== undefined && !isSocket(tunnels.helper))
    warnings.push({ field: 'tunnels.helper', message: `there is no socket at ${tunnels.helper}: does the helper run?` })
  const [command = ''] = tor.command
  if (workers.some(({ kind }) => kind === 'local') && !isProgram(command, env))
    warnings.push({ field: 'tor.command', message: `there is no program ${command}: install tor, or write its path` })
  return { faults, warnings }
}

function tried(work: () => unknown, tell: (message: string) => void): void {
  try {
    work()
  } catch (error) {
    tell(error instanceof Error ? error.message : String(error))
  }
}

function read(path: string, tell: (message: string) => void): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    tell(`${path} cannot be read: ${error instanceof Error ? error.message : error}`)
    return undefined
  }
}

function isSocket(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isSocket() ?? false
}

function isProgram(command: string, env: Environment): boolean {
  const places = command.includes('/') ? [''] : (env.PATH ?? '').split(delimiter)
  return places.some((place) => {
    try {
      accessSync(place === '' ? command : join(place, command), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

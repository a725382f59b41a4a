import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bandwidthFile, geoipFile, isRelay, type NetworkPlan, type PlannedProcess } from '../plan.ts'
import { BANDWIDTH_FILE, daemonTorrc, GEOIP_FILE, RESOLV_CONF, type Settings, type TorrcContext } from '../torrc.ts'
import { type Certificates, createCertificates } from './certificates.ts'
import { type ClientAuthKeys, createAuthorityKeys, createClientAuthKeys, createRelayIdentity } from './identities.ts'

/** The onion service that only clients with a key may use. */
export const PRIVATE_SERVICE = 'onion2'

export interface Prepared {
  readonly context: TorrcContext
  /** Of the relays, by name. */
  readonly fingerprints: ReadonlyMap<string, string>
  readonly certificates: Certificates
  readonly clientAuth: ClientAuthKeys
}

/** Writes every file that the network needs before its first process starts: keys, certificates, torrcs. */
export async function prepare(
  plan: NetworkPlan,
  directory: string,
  nowS: number,
  signal: AbortSignal,
): Promise<Prepared> {
  const relays = plan.processes.filter(isRelay)
  const authorities = plan.processes.filter(({ role }) => role === 'authority')
  const [certificates, clientAuth, v3idents, fingerprints] = await Promise.all([
    createCertificates(directory, signal),
    createClientAuthKeys(),
    byName(authorities, ({ name, address }) => createAuthorityKeys(join(directory, name), address, signal)),
    byName(relays, ({ name }) => createRelayIdentity(join(directory, name))),
    writeFile(join(directory, GEOIP_FILE), geoipFile(plan)),
    writeFile(join(directory, RESOLV_CONF), `nameserver ${plan.addresses.dns}:${plan.ports.dns}\n`),
  ])

  await writeFile(join(directory, BANDWIDTH_FILE), bandwidthFile(plan, fingerprints, nowS))
  const context: TorrcContext = {
    plan,
    directory,
    authorities: authorities.map(({ name, address }) => ({
      name,
      address,
      fingerprint: fingerprints.get(name) ?? '',
      v3ident: v3idents.get(name) ?? '',
    })),
  }
  const authorized = join(directory, PRIVATE_SERVICE, 'service', 'authorized_clients')
  await mkdir(authorized, { recursive: true, mode: 0o700 })
  await writeFile(join(authorized, 'client.auth'), clientAuth.serviceLine)
  return { context, fingerprints, certificates, clientAuth }
}

export async function writeTorrc(process: PlannedProcess, context: TorrcContext, settings: Settings): Promise<void> {
  const own = join(context.directory, process.name)
  await mkdir(own, { recursive: true, mode: 0o700 })
  await writeFile(torrcPath(context.directory, process.name), daemonTorrc(process, context, settings))
}

export function torrcPath(directory: string, name: string): string {
  return join(directory, name, 'torrc')
}

async function byName(
  processes: readonly PlannedProcess[],
  make: (process: PlannedProcess) => Promise<string>,
): Promise<Map<string, string>> {
  return new Map(await Promise.all(processes.map(async (process) => [process.name, await make(process)] as const)))
}

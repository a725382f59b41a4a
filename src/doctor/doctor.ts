import type { ApiClient } from '../client/client.ts'
import { proxyAuth } from '../config/exposure.ts'
import { namedInPool } from '../config/named-in-pool.ts'
import { ConfigError, type ServiceConfig } from '../config/read-config.ts'
import type { EgressState } from '../egress/probe.ts'
import type { Clock } from '../lib/clock.ts'
import { staysOnMachine } from '../listen/address.ts'
import type { Tunnels } from '../tunnel/tunnels.ts'
import { checkBoxFiles, checkTunnels, findBoxes } from './boxes.ts'
import { checkCertificate } from './certificate.ts'
import { checkSystemClock } from './clock.ts'
import { checkConfiguration, configurationFaults } from './configuration.ts'
import { judgeEgress } from './egress.ts'
import { type Finding, unchecked } from './finding.ts'
import { checkKeysAsked } from './keys-asked.ts'
import { checkNames } from './names.ts'
import { checkNode } from './node-version.ts'
import { type ConfiguredPort, judgeOwnListeners } from './own-listeners.ts'
import { checkProxyPort, type ProxyPort } from './proxy-ports.ts'
import { checkService } from './service.ts'
import { certificateOf, urlOf } from './service-address.ts'
import type { ServiceProcess } from './service-process.ts'
import { checkSharedStore } from './shared-store.ts'
import { judgeState, type StateSeen } from './state-files.ts'
import { checkTorProgram, type RunProgram } from './tor-version.ts'
import { checkWorkerTor } from './worker-tor.ts'

/** This machine, and the service that may run on it. */
export interface DoctorParts {
  readonly clock: Clock
  /** Of CBTOR. */
  readonly version: string
  /** As `process.versions.node` has it. */
  readonly nodeVersion: string
  /** The user who asks; undefined where there are none. */
  readonly uid: number | undefined
  readonly run: RunProgram
  lookAtState(directory: string): Promise<StateSeen>
  /** The process that listens on a port of this machine. */
  processAt(port: number): Promise<ServiceProcess | undefined>
  /** `certificate`: the only one to take, in PEM, whatever names it has. */
  createApi(url: string, certificate?: string): Pick<ApiClient, 'status' | 'health' | 'worker'>
  /** Of this process. */
  cgroup(): Promise<string>
  probeEgress(): Promise<EgressState>
  tunnels(state: string, signal: AbortSignal): Promise<Pick<Tunnels, 'status'>>
}

export interface Patient {
  /** Throws `ConfigError`. */
  readConfig(): ServiceConfig
  /** Where the service listens, when it is not where the configuration says. */
  readonly api: string | undefined
}

/** Looks at an installation, from the programs to what its Tors do at this moment. Changes nothing. Rejects only with the signal's reason. */
export async function examine(patient: Patient, parts: DoctorParts, signal: AbortSignal): Promise<readonly Finding[]> {
  const { clock } = parts
  const found: Finding[] = [checkNode(parts.nodeVersion), checkSystemClock(clock.now())]
  let config: ServiceConfig
  try {
    config = patient.readConfig()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return [...found, ...configurationFaults(error.faults), unchecked('all else', 'it needs the configuration')]
  }
  if (config.workers.some(({ kind }) => kind === 'local'))
    found.push(await checkTorProgram(config.tor.command, parts.run, signal))
  found.push(...checkConfiguration(config), ...(await checkCertificate(config, clock.now())))
  found.push(checkKeysAsked(config), ...(await checkSharedStore(config, parts, signal)))

  const { boxes, faults } = findBoxes(config.state)
  found.push(...faults, ...checkBoxFiles(boxes, config))
  const ports = configuredPorts(config)
  found.push(checkNames({ listens: ports, boxes }))

  const url = patient.api ?? urlOf(config)
  const port = url === undefined ? undefined : portOf(new URL(url))
  const service = port === undefined ? undefined : await parts.processAt(port)
  found.push(...judgeState(await parts.lookAtState(config.state), service?.uid ?? parts.uid))
  if (url === undefined) {
    found.push(unchecked('service', 'the configuration lets it take any free port', 'Say where it listens: --api'))
  } else {
    const answers = await checkService(parts.createApi(url, certificateOf(config)), url, signal)
    found.push(...answers, ...ownListeners(service, ports, parts.uid))
    if (answers[0]?.verdict === 'ok') found.push(...(await checkProxyPorts(config, clock, signal)))
  }
  const isAsService = service?.uid === parts.uid && service?.cgroup === (await parts.cgroup())
  found.push(judgeEgress(await parts.probeEgress(), isAsService ? 'service' : 'self', false))
  const usedBoxes = boxes.filter(({ id }) => config.workers.some((worker) => worker.id === id))
  found.push(...(await checkTunnels(usedBoxes, () => parts.tunnels(config.state, signal), signal)))
  const tors = namedInPool(config).workers.map((worker) => checkWorkerTor(config, worker, clock, signal))
  found.push(...(await Promise.all(tors)).flat())
  return found
}

function ownListeners(
  service: ServiceProcess | undefined,
  ports: readonly ConfiguredPort[],
  uid: number | undefined,
): readonly Finding[] {
  const name = 'listeners'
  if (service !== undefined) return judgeOwnListeners(name, service.sockets, ports)
  const why = uid === 0 ? 'it does not run' : 'it does not run, or is of another user'
  return [unchecked(name, `the service's process is not found: ${why}`, 'Run this while it is up, as the same user')]
}

/** URLs leave out the port that is their scheme's. Undefined for a unix socket. */
function portOf({ port, protocol }: URL): number | undefined {
  if (port !== '') return Number(port)
  return { 'http:': 80, 'https:': 443 }[protocol]
}

/** All that the configuration has the service listen on that others may come to reach: unix sockets are not. */
export function configuredPorts(config: ServiceConfig): readonly ConfiguredPort[] {
  const { listen, auth, store, cluster } = config
  const tls = config.tls === undefined ? 'none' : config.tls === 'offloaded' ? 'offloaded' : 'own'
  const all = [
    { field: 'listen', address: listen, asksKey: auth === 'on' },
    ...proxyPorts(config).map(({ field, address }) => ({ field, address, asksKey: proxyAuth(config) === 'on' })),
  ]
  const ports = all.flatMap(({ field, address, asksKey }) =>
    'path' in address ? [] : [{ field, ...address, asksKey, tls } as const],
  )
  // Mutual TLS by the secret of the pool.
  const forPool = { field: 'cluster.worker_port', asksKey: true, tls: 'own' } as const
  if (store !== 'embedded' && cluster.worker_port !== 'off') ports.push({ ...forPool, ...cluster.worker_port })
  return ports
}

function proxyPorts({ proxy, tls }: ServiceConfig): readonly ProxyPort[] {
  return (['http', 'socks', 'both'] as const).flatMap((name) => {
    const address = proxy[name]
    if (address === undefined || address === 'off') return []
    const isSecured = typeof tls === 'object' && !staysOnMachine(address)
    return [{ field: `proxy.${name}`, speaks: name === 'http' ? 'http' : 'socks', address, isSecured } as const]
  })
}

async function checkProxyPorts(config: ServiceConfig, clock: Clock, signal: AbortSignal): Promise<readonly Finding[]> {
  const requiresPassword = proxyAuth(config) === 'on'
  // Which port the service has taken for 0 only it knows.
  const known = proxyPorts(config).filter(({ address }) => 'path' in address || address.port !== 0)
  return await Promise.all(known.map((port) => checkProxyPort(port, { requiresPassword, clock }, signal)))
}

/** Whether nothing is wrong; warnings and what could not be checked do not count. */
export function isWell(findings: readonly Finding[]): boolean {
  return findings.every(({ verdict }) => verdict !== 'wrong')
}

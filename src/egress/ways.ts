import { isIP } from 'node:net'
import { type BoxFile, splitEndpoint } from '../boxes/box-file.ts'
import { storeHost } from '../config/cluster.ts'
import type { ServiceConfig } from '../config/read-config.ts'
import { isLoopbackAddress } from '../lib/loopback.ts'
import type { LockSubject, Way } from './rules.ts'

export interface WaysOut {
  readonly ways: readonly Way[]
  /** What would not work under the lock, a sentence each with what mends it. */
  readonly conflicts: readonly string[]
}

/** Where the service of this configuration has to go, apart from this machine and the tunnels. */
export function waysOut(
  {
    workers,
    jobs,
    store,
    cluster,
  }: Pick<ServiceConfig, 'workers'> & {
    readonly jobs?: Pick<ServiceConfig['jobs'], 'webhook_allow'>
    readonly store?: ServiceConfig['store']
    readonly cluster?: Pick<ServiceConfig['cluster'], 'peers'>
  },
  boxes: readonly BoxFile[],
  subject: LockSubject,
): WaysOut {
  const ways: Way[] = []
  const conflicts: string[] = []
  const add = (why: string, host: string, protocol: Way['protocol'], port: number) => {
    if (isIP(host) === 0)
      conflicts.push(
        `The lock lets nobody resolve names, and ${why} is at "${host}": install the box again by its address`,
      )
    else if (!isLoopbackAddress(host)) ways.push({ why, address: host, protocol, port })
  }
  for (const worker of workers) {
    const { id } = worker
    if (worker.kind === 'external') {
      const doors = [
        ['SOCKS', worker.socks],
        ['control port', worker.control],
      ] as const
      for (const [what, door] of doors)
        if (door?.host !== undefined && door.port !== undefined) add(`${what} of ${id}`, door.host, 'tcp', door.port)
    }
    if (worker.kind !== 'openwrt') continue
    const box = boxes.find((other) => other.id === id)
    if (box === undefined) continue
    add(`SSH of ${id}`, box.ssh.host, 'tcp', box.ssh.port)
    const [host, port] = splitEndpoint(box.tunnel.boxEndpoint)
    // The kernel's own WireGuard is nobody's; wireguard-go is whoever makes the tunnels.
    add(`WireGuard of ${id}`, host, 'udp', port)
  }
  for (const { address, prefix, port } of jobs?.webhook_allow ?? []) {
    if (!isLoopbackAddress(address))
      ways.push({ why: 'webhooks', address: `${address}/${prefix}`, protocol: 'tcp', port })
  }
  const shared = store === undefined ? undefined : storeHost(store)
  if (shared !== undefined) add('the shared store', shared.host, 'tcp', shared.port)
  for (const { address, prefix, port } of cluster?.peers ?? []) {
    if (!isLoopbackAddress(address))
      ways.push({ why: 'workers of other replicas', address: `${address}/${prefix}`, protocol: 'tcp', port })
  }
  const hasLocal = workers.some(({ kind }) => kind === 'local')
  if (hasLocal && subject.by === 'user')
    conflicts.push(
      `Tors of local workers run as ${subject.user}, too, and would be locked in: lock by control group (deploy/cbtor.service.d), or run Tor as another user and make it an external worker`,
    )
  return { ways, conflicts }
}

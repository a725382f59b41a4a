import type { Target } from '../../src/domain/worker.ts'
import type { TorNetwork } from '../../src/testnet/network.ts'
import { exitsByCountry } from '../contracts/driver-subject.ts'

/** Of the private network: what the contract of drivers asks of the world around one. */
export function worldOf(network: TorNetwork) {
  const { urls } = network
  return {
    target: targetOf(urls.www),
    refused: targetOf(urls.refused),
    unknown: targetOf(urls.nowhere),
    onion: targetOf(urls.onion),
    exitless: { host: '2001:db8::1', port: 80 },
    exitNicknames: network.processes().flatMap(({ name, role }) => (role === 'exit' ? [name] : [])),
    exitIn: exitsByCountry(network.processes()),
  }
}

export function targetOf(url: string): Target {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port || 80) }
}

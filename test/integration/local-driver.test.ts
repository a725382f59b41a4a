import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { TorNetwork } from '../../src/testnet/network.ts'
import { LocalDriver } from '../../src/workers/local/local-driver.ts'
import { driverContract } from '../contracts/driver-contract.ts'

let network: TorNetwork
let subjects = 0

before(async () => {
  network = await TorNetwork.create()
})

after(async () => {
  await network[Symbol.asyncDispose]()
})

driverContract('local', async () => {
  const pids = new Set<number>()
  const driver = new LocalDriver({
    id: 'tor01',
    directory: join(network.directory, `worker${subjects++}`),
    command: network.clientCommand(),
    torrc: network.clientTorrc(),
    rejectInternalAddresses: network.isolation === 'namespace',
    clock: systemClock,
    logger: silentLogger,
  })
  driver.onEvent(() => {
    const { pid } = driver.observe()
    if (pid !== undefined) pids.add(pid)
  })
  return {
    driver,
    target: targetOf(network.urls.www),
    refused: targetOf(network.urls.refused),
    unknown: targetOf(network.urls.nowhere),
    onion: targetOf(network.urls.onion),
    exitNicknames: network.processes().flatMap(({ name, role }) => (role === 'exit' ? [name] : [])),
    crash() {
      const { pid } = driver.observe()
      if (pid !== undefined) process.kill(pid, 'SIGKILL')
    },
    isAlive: () => [...pids].some((pid) => existsSync(`/proc/${pid}/exe`)),
    [Symbol.asyncDispose]: () => driver[Symbol.asyncDispose](),
  }
})

function targetOf(url: string) {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port || 80) }
}

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { TorNetwork } from '../../src/testnet/network.ts'
import { TorControl } from '../../src/tor/control/client.ts'
import { torDirectory } from '../../src/tor/tor-directory.ts'
import { LocalDriver } from '../../src/workers/local/local-driver.ts'
import { driverContract } from '../contracts/driver-contract.ts'
import { worldOf } from './network-world.ts'

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
  const client = 1
  const directory = join(network.directory, `worker${subjects++}`)
  const driver = new LocalDriver({
    id: 'tor01',
    directory,
    command: network.clientCommand(),
    torrc: network.clientTorrc({ client }),
    rejectInternalAddresses: network.isolation === 'namespace',
    exits: { exits: 1, families: 1 },
    clock: systemClock,
    logger: silentLogger,
  })
  driver.onEvent(() => {
    const { pid } = driver.observe()
    if (pid !== undefined) pids.add(pid)
  })
  return {
    driver,
    ...worldOf(network),
    crash: () => signal(driver, 'SIGKILL'),
    freeze: () => signal(driver, 'SIGSTOP'),
    thaw: () => signal(driver, 'SIGCONT'),
    ...(network.isolation === 'namespace' && { blackhole: (on: boolean) => network.blackhole(client, on) }),
    loseIsolation: () => changeSocksPort(directory, 'NoIsolateSOCKSAuth'),
    isAlive: () => [...pids].some((pid) => existsSync(`/proc/${pid}/exe`)),
    [Symbol.asyncDispose]: () => driver[Symbol.asyncDispose](),
  }
})

function signal(driver: LocalDriver, name: NodeJS.Signals): void {
  const { pid } = driver.observe()
  if (pid !== undefined) process.kill(pid, name)
}

async function changeSocksPort(directory: string, flags: string): Promise<void> {
  const { controlSocket, controlCookie, socksSocket } = torDirectory(directory)
  const never = new AbortController().signal
  const credentials = { method: 'cookie-file', path: controlCookie } as const
  await using control = await TorControl.open(controlSocket, credentials, {}, never)
  // A listener that is open stays as it is.
  await control.setConf([['SocksPort', '0']], never)
  await control.setConf([['SocksPort', `unix:${socksSocket} ${flags}`]], never)
}

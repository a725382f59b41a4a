import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { workerPortKey } from '../../src/cluster/worker-port/secured.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { TorNetwork } from '../../src/testnet/network.ts'
import { TorControl } from '../../src/tor/control/client.ts'
import { torDirectory } from '../../src/tor/tor-directory.ts'
import { LocalDriver } from '../../src/workers/local/local-driver.ts'
import { PeerDriver } from '../../src/workers/peer/peer-driver.ts'
import { WorkerPort } from '../../src/workers/peer/worker-port.ts'
import { driverContract } from '../contracts/driver-contract.ts'
import { identity, never } from '../contracts/driver-subject.ts'
import { targetOf, worldOf } from './network-world.ts'

let network: TorNetwork
let subjects = 0

before(async () => {
  network = await TorNetwork.create()
})

after(async () => {
  await network[Symbol.asyncDispose]()
})

/** A local worker of `gw2` that is up, and two other replicas that use it through the worker port of that one. */
async function createReplicas() {
  await using parts = new AsyncDisposableStack()
  const pids = new Set<number>()
  const client = 1
  const directory = join(network.directory, `peer${subjects++}`)
  const own = parts.use(
    new LocalDriver({
      id: 'gw2-tor01',
      directory,
      command: network.clientCommand(),
      torrc: network.clientTorrc({ client }),
      rejectInternalAddresses: network.isolation === 'namespace',
      exits: { exits: 1, families: 1 },
      clock: systemClock,
      logger: silentLogger,
    }),
  )
  own.onEvent(() => {
    const { pid } = own.observe()
    if (pid !== undefined) pids.add(pid)
  })
  await own.start(never)
  const secret = randomBytes(32)
  const port = parts.use(new WorkerPort({ replica: 'gw2', secret, clock: systemClock, logger: silentLogger }))
  const at = await port.listen({ host: '127.0.0.1', port: 0 })
  port.offer(own)
  const peer = (self: string) =>
    parts.use(
      new PeerDriver({
        ...{ id: own.id, replica: 'gw2', self, at: () => at, key: workerPortKey(secret) },
        ...{ clock: systemClock, logger: silentLogger },
      }),
    )
  const [driver, other] = [peer('gw1'), peer('gw3')]
  const owned = parts.move()
  return {
    ...{ own, port, driver, other, pids, directory, client },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

driverContract('peer of a real Tor', async () => {
  const { own, port, driver, pids, directory, client, [Symbol.asyncDispose]: end } = await createReplicas()
  const signal = (name: NodeJS.Signals) => {
    const { pid } = own.observe()
    if (pid !== undefined) process.kill(pid, name)
  }
  return {
    driver,
    ...worldOf(network),
    tenure: 'foreign',
    crash: () => signal('SIGKILL'),
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    async revive() {
      await own.stop(never)
      await own.start(never)
    },
    ...(network.isolation === 'namespace' && { blackhole: (on: boolean) => network.blackhole(client, on) }),
    loseIsolation: () => changeSocksPort(directory, 'NoIsolateSOCKSAuth'),
    isAlive: () => [...pids].some((pid) => existsSync(`/proc/${pid}/exe`)),
    connections: () => port.connections,
    async [Symbol.asyncDispose]() {
      signal('SIGCONT')
      await end()
    },
  }
})

describe('a worker that three replicas use', { timeout: 180_000 }, () => {
  it('has one circuit for an identity, whichever of them it comes through, and others for others', async () => {
    await using replicas = await createReplicas()
    const { own, driver, other } = replicas
    await Promise.all([driver.start(never), other.start(never)])
    const target = targetOf(network.urls.www)
    const ids = ['a', 'b', 'c', 'd', 'e', 'f']
    const exits = await Promise.all(
      ids.map(async (id) => {
        const through: (string | undefined)[] = []
        for (const each of [driver, own, other]) {
          const connection = await each.connect(target, identity(`peer-${id}`), never)
          const path = await connection.path?.(5_000)
          assert.deepEqual((await connection.exit(5_000))?.fingerprint, path?.at(-1)?.fingerprint)
          through.push(path?.map(({ fingerprint }) => fingerprint).join())
          connection.socket.destroy()
        }
        assert.equal(new Set(through).size, 1, `${id} has ${new Set(through).size} paths`)
        return through[0]
      }),
    )
    assert.ok(new Set(exits).size > 1)
    const taken = (await driver.inspect(never)).circuits?.filter(({ isTaken }) => isTaken)
    assert.equal(taken?.length, ids.length)
  })

  it('carries TLS to the target within that between the replicas, and names are resolved by exits alone', async () => {
    await using replicas = await createReplicas()
    const { driver } = replicas
    await driver.start(never)
    const { host, port } = targetOf(network.urls.httpsWww)
    const { socket } = await driver.connect({ host, port: port === 80 ? 443 : port }, identity('tls'), never)
    const secured = connectTls({ socket, servername: host, rejectUnauthorized: false })
    await once(secured, 'secureConnect')
    secured.write(`GET /ip HTTP/1.0\r\nHost: ${host}\r\n\r\n`)
    assert.match(await text(secured), /^HTTP\/1\.[01] 200 /)
    await driver.resolve('peer-names.cbtor.test', identity('names'), never)
    const asked = (await network.dnsQueries()).map(({ name }) => name)
    assert.ok(asked.includes('peer-names.cbtor.test'))
  })
})

async function changeSocksPort(directory: string, flags: string): Promise<void> {
  const { controlSocket, controlCookie, socksSocket } = torDirectory(directory)
  const credentials = { method: 'cookie-file', path: controlCookie } as const
  await using control = await TorControl.open(controlSocket, credentials, {}, never)
  // A listener that is open stays as it is.
  await control.setConf([['SocksPort', '0']], never)
  await control.setConf([['SocksPort', `unix:${socksSocket} ${flags}`]], never)
}

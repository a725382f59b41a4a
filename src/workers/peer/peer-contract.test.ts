import type { Socket } from 'node:net'
import { driverContract } from '../../../test/contracts/driver-contract.ts'
import { FakeDriver } from '../fake/fake-driver.ts'
import { openTestPort } from './test-peers.ts'

const never = new AbortController().signal
const exits = ['exit1', 'exit2', 'exit3', 'exit4'].map((nickname, n) => ({
  nickname,
  fingerprint: `${n}`.repeat(40),
  address: `203.0.113.${n}`,
  country: ['de', 'nl', 'us', 'se'][n] ?? 'de',
}))
const onion = `${'a'.repeat(56)}.onion`

driverContract('peer', async () => {
  const targets = new Map([
    ['www.cbtor.test:80', answerOnce],
    [`${onion}:80`, answerOnce],
  ])
  const worker = new FakeDriver({ id: 'gw2-tor01', targets, exits })
  await worker.start(never)
  const lab = await openTestPort()
  lab.port.offer(worker)
  const driver = lab.peer(worker.id)
  return {
    driver,
    target: { host: 'www.cbtor.test', port: 80 },
    refused: { host: 'www.cbtor.test', port: 81 },
    unknown: { host: 'nowhere.cbtor.test', port: 80 },
    onion: { host: onion, port: 80 },
    exitless: { host: '2001:db8::1', port: 80 },
    exitNicknames: exits.map((exit) => exit.nickname),
    exitIn: Object.fromEntries(exits.map(({ country, nickname }) => [country, nickname])),
    tenure: 'foreign',
    crash: () => worker.kill(),
    freeze: () => worker.freeze(),
    thaw: () => worker.thaw(),
    async revive() {
      await worker.stop()
      await worker.start(never)
    },
    blackhole: async (on) => worker.blackhole(on),
    loseIsolation: async () => worker.loseIsolation(),
    isAlive: () => worker.observe().process === 'running',
    connections: () => lab.port.connections,
    async [Symbol.asyncDispose]() {
      await driver[Symbol.asyncDispose]()
      await lab[Symbol.asyncDispose]()
      await worker[Symbol.asyncDispose]()
    },
  }
})

function answerOnce(socket: Socket): void {
  socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\n198.51.100.1\n'))
}

import type { Socket } from 'node:net'
import { driverContract } from '../../../test/contracts/driver-contract.ts'
import { FakeDriver } from './fake-driver.ts'

const exits = ['exit1', 'exit2', 'exit3', 'exit4'].map((nickname, n) => ({
  nickname,
  fingerprint: `${n}`.repeat(40),
  address: `203.0.113.${n}`,
  country: ['de', 'nl', 'us', 'se'][n] ?? 'de',
}))

driverContract('fake', async () => {
  const targets = new Map([
    ['www.cbtor.test:80', answerOnce],
    [`${'a'.repeat(56)}.onion:80`, answerOnce],
  ])
  const driver = new FakeDriver({ id: 'tor01', targets, exits })
  return {
    driver,
    target: { host: 'www.cbtor.test', port: 80 },
    refused: { host: 'www.cbtor.test', port: 81 },
    unknown: { host: 'nowhere.cbtor.test', port: 80 },
    onion: { host: `${'a'.repeat(56)}.onion`, port: 80 },
    exitless: { host: '2001:db8::1', port: 80 },
    exitNicknames: exits.map((exit) => exit.nickname),
    exitIn: Object.fromEntries(exits.map(({ country, nickname }) => [country, nickname])),
    crash: () => driver.kill(),
    freeze: () => driver.freeze(),
    thaw: () => driver.thaw(),
    blackhole: async (on) => driver.blackhole(on),
    loseIsolation: async () => driver.loseIsolation(),
    isAlive: () => driver.observe().process === 'running',
    [Symbol.asyncDispose]: () => driver[Symbol.asyncDispose](),
  }
})

function answerOnce(socket: Socket): void {
  socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\n198.51.100.1\n'))
}

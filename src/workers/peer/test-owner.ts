/** A replica with one worker, for tests that kill it: says its address in JSON, and lives until it is killed or its parent is gone. */
import type { Socket } from 'node:net'
import { systemClock } from '../../lib/clock.ts'
import { FakeDriver } from '../fake/fake-driver.ts'
import { openTestPort } from './test-peers.ts'

/** Says something each few milliseconds, so that its end cannot be mistaken for that of an answer. */
function chatter(socket: Socket): void {
  socket.on('error', () => {}).resume()
  const talk = () => {
    if (!socket.writable) return
    socket.write('and so on\n')
    systemClock.timer(5, talk)
  }
  talk()
}

const [secret = ''] = process.argv.slice(2)
const worker = new FakeDriver({
  id: 'gw2-tor01',
  targets: new Map([['www.cbtor.test:80', chatter]]),
  exits: [{ nickname: 'exit1', fingerprint: 'A'.repeat(40) }],
})
await worker.start(new AbortController().signal)
const { port, at } = await openTestPort({ secret: Buffer.from(secret, 'hex') })
port.offer(worker)
process.stdout.write(`${JSON.stringify(at)}\n`)
process.stdin.on('end', () => process.exit()).resume()

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { workerPortKey } from '../../cluster/worker-port/secured.ts'
import { systemClock } from '../../lib/clock.ts'
import { silentLogger } from '../../lib/log.ts'
import { PeerDriver } from './peer-driver.ts'

/** As long as whoever reads a stream waits for word of its worker when it has come to its end. */
const VERDICT_MS = 150

const never = new AbortController().signal
const identity = { token: 'killed', isOneOff: false, keepsExit: false }
const target = { host: 'www.cbtor.test', port: 80 }

/** A replica that is a process of its own, a driver for its worker, and some streams through that. */
async function createKilled(streams: number) {
  const secret = randomBytes(32)
  const file = new URL('./test-owner.ts', import.meta.url).pathname
  const owner: ChildProcess = spawn(process.execPath, [file, secret.toString('hex')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const gone = once(owner, 'exit')
  const end = async () => {
    owner.kill('SIGKILL')
    await gone
  }
  try {
    const [said] = owner.stdout ? await once(owner.stdout, 'data') : []
    const at = JSON.parse(String(said)) as { host: string; port: number }
    const driver = new PeerDriver({
      ...{ id: 'gw2-tor01', replica: 'gw2', self: 'gw1', at: () => at, key: workerPortKey(secret) },
      ...{ clock: systemClock, logger: silentLogger },
    })
    await driver.start(never)
    const lost = new Promise<number>((resolve) => {
      driver.onEvent(({ type }) => type === 'lost' && resolve(systemClock.monotonic()))
    })
    const connections = await Promise.all(
      Array.from({ length: streams }, () => driver.connect(target, identity, never)),
    )
    const ends = connections.map(async ({ socket }) => {
      socket.on('error', () => {})
      await once(socket, 'data')
      const closed = new Promise((resolve) => void socket.once('end', resolve).once('close', resolve))
      return { over: closed.then(() => systemClock.monotonic()) }
    })
    return {
      ...{ owner, driver, lost },
      streams: await Promise.all(ends),
      async [Symbol.asyncDispose]() {
        await driver[Symbol.asyncDispose]()
        await end()
      },
    }
  } catch (error) {
    await end()
    throw error
  }
}

describe('a worker whose replica is killed', { timeout: 60_000 }, () => {
  it('is lost when its streams end, so that no end is taken for that of the target', async () => {
    await using killed = await createKilled(40)
    killed.owner.kill('SIGKILL')
    const lostAt = await killed.lost
    for (const { over } of killed.streams)
      assert.ok(lostAt - (await over) < VERDICT_MS, `it is lost ${lostAt - (await over)} ms after the end of a stream`)
    await assert.rejects(killed.driver.connect(target, identity, never), /replica gw2 is lost/)
  })

  it('is lost when that is stopped in its tracks, after some seconds', async () => {
    await using killed = await createKilled(1)
    killed.owner.kill('SIGSTOP')
    const stoppedAt = systemClock.monotonic()
    const waited = (await killed.lost) - stoppedAt
    assert.ok(waited < 20_000, `it took ${waited} ms`)
    assert.match(killed.driver.observe().problem ?? '', /it is silent/)
  })
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { it } from 'node:test'
import type { ServerChannel } from 'ssh2'
import { systemClock as clock } from '../lib/clock.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { command } from './command.ts'
import type { SshError } from './errors.ts'
import { generateKeyPair } from './keys.ts'
import { SshSession } from './session.ts'
import { TestDropbear } from './test-dropbear.ts'
import { TestSshServer } from './test-ssh-server.ts'

const never = new AbortController().signal
const limitMs = 5_000

it('sends nothing to a box with another host key, and does not keep asking it', async () => {
  await using dropbear = await TestDropbear.start()
  const fake = new FakeClock()
  const rightKey = dropbear.makeHostKey()
  await using session = new SshSession({ target: { ...dropbear.target, hostKey: rightKey }, clock: fake })
  const run = () => session.run(command`touch "$HOME/was-here"`, { limitMs }, never)

  for (let call = 0; call < 5; call++)
    await assert.rejects(run(), { fault: 'untrusted', message: /its host key is SHA256:.*Nothing was sent/ })
  assert.equal(session.state, 'untrusted')
  await assert.rejects(session.forward(80, never), { fault: 'untrusted' })
  await dropbear.logged(/Exit before auth from/, 2)
  // One is the look at whether it is up.
  assert.equal(dropbear.count(/Child connection/), 2)
  assert.equal(dropbear.count(/user '|succeeded/), 0)

  await dropbear.kill()
  await dropbear.boot()
  await fake.advance(29_999)
  await assert.rejects(run(), { fault: 'untrusted' })
  await fake.advance(1)
  assert.equal((await run()).code, 0)
  assert.equal(session.state, 'connected')
})

it('says that its key is refused', async () => {
  await using dropbear = await TestDropbear.start()
  const { privateKey } = generateKeyPair()
  await using session = new SshSession({ target: { ...dropbear.target, privateKey }, clock })
  await assert.rejects(session.run(command`true`, { limitMs }, never), {
    fault: 'key-refused',
    message: /does not accept our key for .*authorized_keys/,
  })
  assert.equal(session.state, 'idle')
})

it('offers its key, and no other way in', async () => {
  await using server = await TestSshServer.start({ onExec: succeed })
  await using session = new SshSession({ target: server.target, clock })
  await session.run(command`true`, { limitMs }, never)
  assert.deepEqual(new Set(server.authMethods), new Set(['publickey']))
})

it('a box that freezes is noticed by its silence, and a frozen one by the connect limit', async () => {
  await using dropbear = await TestDropbear.start()
  const keepalive = { intervalMs: 200, count: 2 }
  await using session = new SshSession({ target: dropbear.target, clock, keepalive, connectWithinMs: 1_000 })
  const ends: SshError[] = []
  session.onEnd((reason) => ends.push(reason))
  await session.run(command`true`, { limitMs }, never)
  dropbear.freeze()
  await assert.rejects(session.run(command`true`, { limitMs }, never), {
    fault: 'timed-out',
    message: /Cannot run "true" on .*: the box has not answered for 600 ms/,
  })
  assert.deepEqual(
    ends.map(({ fault }) => fault),
    ['timed-out'],
  )
  assert.equal(session.state, 'idle')
  await assert.rejects(session.run(command`true`, { limitMs }, never), {
    fault: 'timed-out',
    message: /did not finish the SSH handshake within 1000 ms/,
  })
  dropbear.thaw()
  assert.equal((await session.run(command`true`, { limitMs }, never)).code, 0)
})

it('a box that is killed ends what runs, is unreachable, and is connected to again when it is back', async () => {
  await using dropbear = await TestDropbear.start()
  await using session = new SshSession({ target: dropbear.target, clock })
  const running = session.run(command`touch "$HOME/started"; sleep 100`, { limitMs }, never)
  await appears(join(dropbear.home, 'started'))
  const waiting = session.run(command`true`, { limitMs }, never)
  const settled = Promise.allSettled([running, waiting])
  await dropbear.kill()
  await settled
  await assert.rejects(running, { fault: 'ended', message: /the box closed|connection failed/ })
  // Its next connection may still get to a listener that is killed right then.
  const message = /nothing listens at 127\.0\.0\.1:.*dropbear start|closed the connection before the SSH handshake/
  await assert.rejects(waiting, { fault: 'unreachable', message })
  await dropbear.boot()
  assert.equal((await session.run(command`true`, { limitMs }, never)).code, 0)
})

it('a command that waits when the connection is lost runs on the next one', async () => {
  await using dropbear = await TestDropbear.start()
  await using session = new SshSession({ target: dropbear.target, clock })
  // The parent of its shell is the session's dropbear.
  const fatal = session.run(command`kill -9 $PPID; sleep 100`, { limitMs }, never)
  const waiting = [1, 2, 3].map(() => session.run(command`echo on`, { limitMs }, never))
  await assert.rejects(fatal, { fault: 'ended' })
  for (const { stdout } of await Promise.all(waiting)) assert.equal(stdout, 'on\n')
  assert.equal(dropbear.count(/auth succeeded/), 2)
})

it('a command that takes too long is ended, and so is one whose caller gives up; the connection lives on', async () => {
  await using dropbear = await TestDropbear.start()
  await using session = new SshSession({ target: dropbear.target, clock })
  const hangs = command`echo $$ > "$HOME/pid"; exec sleep 1000`
  const isAlive = command`kill -0 "$(cat "$HOME/pid")" 2>/dev/null && echo alive`
  await assert.rejects(session.run(hangs, { limitMs: 200 }, never), {
    fault: 'timed-out',
    message: /Cannot run "echo .*sleep 1000" on .*did not end within 200 ms/,
  })
  assert.equal((await session.run(isAlive, { limitMs }, never)).stdout, '')

  const controller = new AbortController()
  const given = session.run(command`touch "$HOME/started"; yes`, { limitMs }, controller.signal)
  await appears(join(dropbear.home, 'started'))
  controller.abort(new Error('no more'))
  await assert.rejects(given, /no more/)
  assert.equal((await session.run(command`true`, { limitMs }, never)).code, 0)
  assert.equal(dropbear.count(/auth succeeded/), 1)
})

it('a command that does not heed SIGTERM is killed', async () => {
  await using dropbear = await TestDropbear.start()
  const fake = new FakeClock()
  await using session = new SshSession({ target: dropbear.target, clock: fake })
  const deaf = command`trap '' TERM; touch "$HOME/started"; while :; do sleep 0.01; done`
  const running = assert.rejects(session.run(deaf, { limitMs: 1_000 }, never), { fault: 'timed-out' })
  await appears(join(dropbear.home, 'started'))
  await fake.advance(1_000)
  await running
  const next = session.run(command`true`, { limitMs }, never)
  await fake.advance(1_000)
  assert.equal((await next).code, 0)
  assert.equal(dropbear.count(/auth succeeded/), 1)
})

it('a channel that never closes costs the connection, and no more than that', async () => {
  await using server = await TestSshServer.start({
    onExec: (channel, text) => {
      if (text === 'true') succeed(channel)
    },
  })
  const fake = new FakeClock()
  await using session = new SshSession({ target: server.target, clock: fake })
  await session.run(command`true`, { limitMs }, never)
  const hanging = assert.rejects(session.run(command`hang`, { limitMs: 1_000 }, never), { fault: 'timed-out' })
  await fake.advance(1_000)
  await hanging
  const next = session.run(command`true`, { limitMs }, never)
  assert.equal(session.state, 'connected')
  await fake.advance(3_000)
  assert.equal((await next).code, 0)
  assert.equal(server.authMethods.length, 4)
})

it('no exit code is no success', async () => {
  await using server = await TestSshServer.start({ onExec: (channel) => channel.end('looks well\n') })
  await using ofServer = new SshSession({ target: server.target, clock })
  await assert.rejects(ofServer.run(command`true`, { limitMs }, never), {
    fault: 'ended',
    message: /without an exit code/,
  })
  await using dropbear = await TestDropbear.start()
  await using session = new SshSession({ target: dropbear.target, clock })
  await assert.rejects(session.run(command`kill -9 $$`, { limitMs }, never), {
    fault: 'ended',
    message: /was ended by SIGKILL/,
  })
})

it('says what is wrong with something that is no SSH server, and with a box that hangs up', async () => {
  await using dropbear = await TestDropbear.start()
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.end(answer)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  let answer = ''
  try {
    for (answer of ['', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'SSH-2.0-x\r\n']) {
      await using session = new SshSession({ target: { ...dropbear.target, port }, clock })
      await assert.rejects(session.run(command`true`, { limitMs }, never), { fault: 'unreachable' }, answer)
    }
  } finally {
    server.close()
  }
})

/** Resolves when a command has made `path`. */
async function appears(path: string): Promise<void> {
  const giveUpAt = clock.monotonic() + 5_000
  while (!existsSync(path)) {
    assert.ok(clock.monotonic() < giveUpAt, `${path} does not appear`)
    await clock.sleep(5)
  }
}

function succeed(channel: ServerChannel): void {
  channel.exit(0)
  channel.end()
}

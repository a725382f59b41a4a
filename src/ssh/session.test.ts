import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { systemClock as clock } from '../lib/clock.ts'
import { command } from './command.ts'
import { readHostKey } from './read-host-key.ts'
import { SshSession, type SshSessionOptions } from './session.ts'
import { TestDropbear } from './test-dropbear.ts'

const never = new AbortController().signal
const limitMs = 5_000

describe('SshSession, with a real dropbear', () => {
  let dropbear: TestDropbear
  before(async () => {
    dropbear = await TestDropbear.start()
  })
  after(async () => await dropbear[Symbol.asyncDispose]())

  const open = (options: Partial<SshSessionOptions> = {}) =>
    new SshSession({ target: dropbear.target, clock, ...options })

  it('connects when there is something to do, once, and stays connected', async () => {
    const connections = dropbear.count(/Child connection/)
    await using session = open()
    assert.equal(session.state, 'idle')
    const first = session.run(command`echo "$HOME"`, { limitMs }, never)
    assert.equal(session.state, 'connecting')
    assert.deepEqual(await first, { code: 0, stdout: `${dropbear.home}\n`, stderr: '' })
    assert.equal(session.state, 'connected')
    await session.run(command`true`, { limitMs }, never)
    assert.equal(dropbear.count(/Child connection/), connections + 1)
  })

  it('gives what a command wrote and its exit code, whatever that is', async () => {
    await using session = open()
    const run = async (...what: Parameters<typeof command>) => await session.run(command(...what), { limitMs }, never)
    assert.deepEqual(await run`printf 'a\nb'; echo c >&2; exit 3`, { code: 3, stdout: 'a\nb', stderr: 'c\n' })
    assert.deepEqual(await run`exit 255`, { code: 255, stdout: '', stderr: '' })
    assert.equal((await run`no-such-program`).code, 127)
    assert.deepEqual(await run`printf '\303\274'`, { code: 0, stdout: 'ü', stderr: '' })
  })

  it('gives a command its stdin, and its end', async () => {
    await using session = open()
    const megabyte = Buffer.alloc(1_000_000, 'x')
    const counted = await session.run(command`wc -c`, { stdin: megabyte, limitMs }, never)
    assert.equal(counted.stdout.trim(), '1000000')
    const none = await session.run(command`cat`, { limitMs }, never)
    assert.deepEqual(none, { code: 0, stdout: '', stderr: '' })
    const unread = await session.run(command`exit 4`, { stdin: megabyte, limitMs }, never)
    assert.equal(unread.code, 4)
  })

  it('takes output of megabytes, and ends a command that writes too much', async () => {
    await using session = open({ maxOutputBytes: 3_000_000 })
    const much = await session.run(command`head -c 3000000 /dev/zero`, { limitMs }, never)
    assert.equal(much.stdout.length, 3_000_000)
    await assert.rejects(session.run(command`yes >&2`, { limitMs }, never), {
      fault: 'ended',
      message: /Cannot run "yes >&2" on .*wrote more than 3000000 bytes/,
    })
    assert.equal((await session.run(command`true`, { limitMs }, never)).code, 0)
    assert.equal(session.state, 'connected')
  })

  it('runs one command at a time, however many are asked for: dropbear breaks on parallel ones', async () => {
    await using session = open()
    const alone = command`mkdir "$HOME/lock" || exit 9; sleep 0.005; rmdir "$HOME/lock"`
    const results = await Promise.all(Array.from({ length: 20 }, () => session.run(alone, { limitMs }, never)))
    assert.deepEqual(
      results.map(({ code }) => code),
      Array(20).fill(0),
    )
  })

  it('keeps no more than so many waiting', async () => {
    await using session = open({ maxWaiting: 2 })
    const asked = Array.from({ length: 4 }, () => session.run(command`sleep 0.05`, { limitMs }, never))
    const settled = await Promise.allSettled(asked)
    assert.deepEqual(
      settled.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'fulfilled', 'rejected'],
    )
    await assert.rejects(asked[3] ?? Promise.resolve(), { fault: 'timed-out', message: /2 others wait/ })
  })

  it('does not run a command whose caller gave up before its turn', async () => {
    await using session = open()
    const controller = new AbortController()
    const first = session.run(command`sleep 0.1; ls "$HOME"`, { limitMs }, never)
    const given = session.run(command`touch "$HOME/given-up"`, { limitMs }, controller.signal)
    await session.forward(1, never).catch(() => {})
    controller.abort(new Error('no more'))
    await assert.rejects(given, /no more/)
    await first
    const { stdout } = await session.run(command`ls "$HOME"`, { limitMs }, never)
    assert.doesNotMatch(stdout, /given-up/)
  })

  it('reads the host key that dropbearkey shows, and asks for no more', async () => {
    const before = dropbear.log.length
    assert.deepEqual(await readHostKey('127.0.0.1', dropbear.port, { clock }, never), {
      type: 'ssh-ed25519',
      fingerprint: dropbear.hostKey,
    })
    await dropbear.logged(/Exit before auth from/)
    assert.ok(!dropbear.log.slice(before).some((line) => /user '|succeeded/.test(line)))
  })

  it('ends with all that runs on it, and is of no more use', async () => {
    const session = open()
    const heard: unknown[] = []
    session.onEnd((reason) => heard.push(reason))
    await session.run(command`true`, { limitMs }, never)
    const running = assert.rejects(session.run(command`sleep 100`, { limitMs }, never), { fault: 'ended' })
    const waiting = assert.rejects(session.run(command`true`, { limitMs }, never), { fault: 'ended' })
    await session[Symbol.asyncDispose]()
    await Promise.all([running, waiting])
    await assert.rejects(session.run(command`true`, { limitMs }, never), { fault: 'ended', message: /closed by us/ })
    assert.equal(session.state, 'idle')
    assert.deepEqual(heard, [])
  })
})

it('refuses a target that cannot be one before it connects', () => {
  const target = { user: 'root', host: '127.0.0.1', port: 22, hostKey: `SHA256:${'a'.repeat(43)}`, privateKey: 'x' }
  for (const wrong of [{}, { host: '-oProxyCommand=x' }, { user: '' }, { port: 0 }, { hostKey: 'aa:bb' }])
    assert.throws(() => new SshSession({ target: { ...target, ...wrong }, clock }), {
      name: 'SshError',
      fault: 'invalid',
    })
})

import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { appendFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { systemClock } from '../../lib/clock.ts'
import { isoTime } from '../../lib/iso-time.ts'
import { silentLogger } from '../../lib/log.ts'
import { type TorDirectory, torDirectory } from '../tor-directory.ts'
import { workerTorrc } from '../torrc/worker-torrc.ts'
import { TorProcessError } from './errors.ts'
import type { TorExit } from './tor-child.ts'
import { TorProcess, type TorProcessOptions } from './tor-process.ts'

const NO_TOR = spawnSync('tor', ['--version']).status === 0 ? false : 'tor is not installed'

describe('TorProcess with tor', { skip: NO_TOR, timeout: 60_000 }, () => {
  it('brings tor up, with a control socket that only we may use, and ends it', async (t) => {
    const directory = await temporary(t)
    await using tor = torIn(directory)
    assert.equal(tor.observe().state, 'stopped')

    await tor.start(t.signal)
    const { state, pid, bootstrap, version, startedAt } = tor.observe()
    assert.equal(state, 'running')
    assert.equal(bootstrap.progress, 0)
    assert.match(version ?? '', /^\d+\.\d+\.\d+/)
    assert.ok(startedAt !== undefined && isAlive(pid))
    assert.ok((await stat(directory.controlSocket)).isSocket())
    assert.equal((await stat(directory.path)).mode & 0o777, 0o700)
    assert.equal((await readFile(directory.controlCookie)).length, 32)

    await tor.stop(t.signal)
    const exit = await tor.exited
    assert.deepEqual([exit?.code, exit?.wasAsked], [0, true])
    assert.deepEqual([tor.observe().state, tor.observe().pid, tor.observe().problem], ['stopped', undefined, undefined])
    assert.equal(isAlive(pid), false)
    assert.equal(existsSync(directory.pidFile), false)
  })

  it('starts once for all who ask at the same time, and not again when it is up', async (t) => {
    await using tor = torIn(await temporary(t))
    await Promise.all([tor.start(t.signal), tor.start(t.signal)])
    const { pid } = tor.observe()
    await tor.start(t.signal)
    assert.equal(tor.observe().pid, pid)
  })

  it('reports at once when somebody kills it, and starts again in the same directory with the same guards', async (t) => {
    const directory = await temporary(t)
    await using tor = torIn(directory)
    const exits: TorExit[] = []
    tor.onExit((exit) => exits.push(exit))
    await tor.start(t.signal)
    await tor.stop(t.signal)
    const sampled = isoTime(systemClock.now()).slice(0, 'yyyy-mm-ddThh:mm:ss'.length)
    const guard = `Guard in=default rsa_id=${'AB'.repeat(20)} nickname=keeper sampled_on=${sampled} sampled_by=0.4.9.11 listed=1`
    await appendFile(join(directory.data, 'state'), `${guard}\n`)
    await tor.start(t.signal)

    process.kill(tor.observe().pid!, 'SIGKILL')
    const exit = await tor.exited
    assert.deepEqual([exit?.signal, exit?.wasAsked, exit?.reason], ['SIGKILL', false, 'Tor was ended by SIGKILL'])
    assert.deepEqual([tor.observe().state, tor.observe().problem], ['exited', 'Tor was ended by SIGKILL'])
    assert.ok(existsSync(directory.controlSocket), 'it leaves its socket behind')

    await tor.start(t.signal)
    assert.deepEqual([tor.observe().state, tor.observe().problem], ['running', undefined])
    await tor.stop(t.signal)
    assert.deepEqual(
      exits.map(({ wasAsked }) => wasAsked),
      [true, false, true],
    )
    assert.match(await readFile(join(directory.data, 'state'), 'utf8'), /^Guard in=default rsa_id=(?:AB){20} /m)
  })

  it('kills a tor that does not end when asked', async (t) => {
    await using tor = torIn(await temporary(t), { stopGraceMs: 50 })
    await tor.start(t.signal)
    process.kill(tor.observe().pid!, 'SIGSTOP')
    await tor.stop(t.signal)
    assert.equal((await tor.exited)?.signal, 'SIGKILL')
  })

  it('loses its patience when the signal of a stop aborts', async (t) => {
    await using tor = torIn(await temporary(t), { stopGraceMs: 60_000 })
    await tor.start(t.signal)
    process.kill(tor.observe().pid!, 'SIGSTOP')
    await tor.stop(AbortSignal.abort())
    assert.equal((await tor.exited)?.signal, 'SIGKILL')
  })

  it("rejects in tor's own words when tor does not like its torrc", async (t) => {
    const directory = await temporary(t)
    await using tor = torIn(directory, { torrc: `DataDirectory ${directory.data}\nSocksPort 0\nNoSuchOption 1\n` })
    await assert.rejects(tor.start(t.signal), fault('exited', /code 1: .*Unknown option 'NoSuchOption'/))
    assert.equal(tor.observe().state, 'exited')
    assert.match(tor.observe().problem ?? '', /NoSuchOption/)
    assert.match(tor.observe().warnings.join(), /NoSuchOption/)
  })

  it('ends a start that is going on when it is stopped', async (t) => {
    await using tor = torIn(await temporary(t))
    const starting = assert.rejects(tor.start(t.signal), fault('not-running', /stopped meanwhile/))
    await tor.stop(t.signal)
    await starting
    assert.equal(tor.observe().state, 'stopped')
    await tor.start(t.signal)
    assert.equal(tor.observe().state, 'running')
  })

  it('ends a tor that a killed predecessor left in the directory', async (t) => {
    const directory = await temporary(t)
    const orphan = await orphanTor(t, directory)
    await using tor = torIn(directory)
    await tor.start(t.signal)
    assert.equal(isAlive(orphan), false)
    assert.notEqual(tor.observe().pid, orphan)
  })

  it('leaves a tor alone whose own program is still there', async (t) => {
    const directory = await temporary(t)
    await using first = torIn(directory)
    await first.start(t.signal)
    await using second = torIn(directory)
    await assert.rejects(second.start(t.signal), fault('directory', /runs tor \(process \d+\) there/))
    assert.equal(first.observe().state, 'running')
  })

  it('leaves a stranger alone who has got the number of its predecessor', async (t) => {
    const directory = await temporary(t)
    const stranger = spawn('sleep', ['60'])
    t.after(() => stranger.kill('SIGKILL'))
    await once(stranger, 'spawn')
    await mkdir(directory.path, { recursive: true })
    await writeFile(directory.pidFile, `${stranger.pid} 1\n`)
    await using tor = torIn(directory)
    await tor.start(t.signal)
    assert.equal(isAlive(stranger.pid), true)
  })
})

describe('TorProcess', { timeout: 30_000 }, () => {
  it('says what to install when there is no tor', async (t) => {
    await using tor = torIn(await temporary(t), { command: ['no-such-tor'] })
    await assert.rejects(tor.start(t.signal), fault('not-installed', /no program "no-such-tor"\. Install it/))
    assert.equal(tor.observe().state, 'exited')
  })

  it('says so when the directory cannot be made', async (t) => {
    const { path } = await temporary(t)
    await writeFile(path, 'a file')
    await using tor = torIn(torDirectory(join(path, 'inside')))
    await assert.rejects(tor.start(t.signal), fault('directory', /Cannot start tor in .*ENOTDIR|EEXIST/))
  })

  it('refuses a directory whose path is too long for its sockets', () => {
    assert.throws(() => torDirectory(`/${'d'.repeat(99)}`), /1 bytes too long for unix sockets/)
    assert.doesNotThrow(() => torDirectory(`/${'d'.repeat(98)}`))
    assert.throws(() => torDirectory('relative'), /not absolute/)
  })

  it('leaves no process behind when a start is aborted before tor is up', async (t) => {
    await using tor = torIn(await temporary(t), { command: ['sh', '-c', 'echo silence; exec sleep 60'] })
    const controller = new AbortController()
    const starting = tor.start(controller.signal)
    const pid = await pidOf(tor, t)
    controller.abort(new Error('enough'))
    await assert.rejects(starting, /enough/)
    assert.equal(isAlive(pid), false)
    assert.equal(tor.observe().state, 'stopped')
  })

  it('tells of each step of the bootstrap and waits for the last', async (t) => {
    await using tor = fakeTor(await temporary(t), [
      '0% (starting): Starting',
      '30% (loading_status): Loading',
      '100% (done): Done',
    ])
    const steps: number[] = []
    tor.onProgress(({ progress }) => steps.push(progress))
    await assert.rejects(tor.waitForBootstrap(t.signal), fault('not-running', /is not running/))
    await tor.start(t.signal)
    await tor.waitForBootstrap(t.signal)
    assert.deepEqual(steps, [0, 30, 100])
    await tor.waitForBootstrap(t.signal)
    assert.deepEqual(tor.observe().bootstrap, { progress: 100, tag: 'done', summary: 'Done' })
  })

  it('stops waiting for the bootstrap when tor ends, and when the signal aborts', async (t) => {
    await using tor = fakeTor(await temporary(t), ['0% (starting): Starting'])
    await tor.start(t.signal)
    await assert.rejects(tor.waitForBootstrap(AbortSignal.abort(new Error('enough'))), /enough/)
    const waiting = assert.rejects(tor.waitForBootstrap(t.signal), fault('exited', /ended by SIGTERM/))
    process.kill(tor.observe().pid!, 'SIGTERM')
    await waiting
  })

  it('gives the last words of a command before tor that fails', async (t) => {
    await using tor = torIn(await temporary(t), { command: ['sh', '-c', 'echo no such namespace >&2; exit 127'] })
    await assert.rejects(tor.start(t.signal), fault('exited', /code 127: no such namespace/))
  })

  it('ends its tor when the program ends without having done so', async (t) => {
    const directory = await temporary(t)
    const program = runProgram(t, directory, 'process.exit(3)', [
      'sh',
      '-c',
      'echo "Bootstrapped 0%: x"; exec sleep 60',
    ])
    const pid = await pidFrom(program)
    while (isAlive(pid)) await systemClock.sleep(5, t.signal)
  })
})

function torIn(directory: TorDirectory, options: Partial<TorProcessOptions> = {}): TorProcess {
  const torrc = workerTorrc({ directory, owner: process.pid, extra: ['DisableNetwork 1'] })
  return new TorProcess({ torrc, directory, logger: silentLogger, clock: systemClock, ...options })
}

/** Something that logs as tor does and then waits to be ended. */
function fakeTor(directory: TorDirectory, steps: readonly string[]): TorProcess {
  const lines = steps.map((step) => `echo "Nov 23 07:18:03.000 [notice] Bootstrapped ${step}"`)
  return torIn(directory, { command: ['sh', '-c', `${lines.join('; ')}; exec sleep 60`] })
}

/** A tor whose program has been killed, so that it has no owner but is still at work. */
async function orphanTor(t: TestContext, directory: TorDirectory): Promise<number> {
  const program = runProgram(t, directory, 'process.kill(process.pid, "SIGKILL")', ['tor'])
  const pid = await pidFrom(program)
  assert.equal(isAlive(pid), true)
  return pid
}

/** Runs another program that starts tor in `directory`, prints its process id and then does `last`. */
function runProgram(t: TestContext, directory: TorDirectory, last: string, command: readonly string[]): ChildProcess {
  const source = `
    import { writeSync } from 'node:fs'
    import { TorProcess } from ${JSON.stringify(import.meta.resolve('./tor-process.ts'))}
    import { systemClock } from ${JSON.stringify(import.meta.resolve('../../lib/clock.ts'))}
import { silentLogger } from ${JSON.stringify(import.meta.resolve('../../lib/log.ts'))}
    const tor = new TorProcess({
      ...${JSON.stringify({ directory, command, torrc: workerTorrc({ directory, owner: process.pid, extra: ['DisableNetwork 1'] }) })},
      clock: systemClock,
      logger: silentLogger,
    })
    await tor.start(new AbortController().signal)
    writeSync(1, String(tor.observe().pid))
    ${last}`
  const program = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => program.kill('SIGKILL'))
  return program
}

/** What the program prints before it ends. */
async function pidFrom(program: ChildProcess): Promise<number> {
  const [exit, printed] = [once(program, 'exit'), once(program.stdout!, 'data')]
  const [pid] = await Promise.race([printed, exit])
  await exit
  return Number(pid)
}

async function pidOf(tor: TorProcess, t: TestContext): Promise<number> {
  for (;;) {
    const { pid, lines } = tor.observe()
    if (pid !== undefined && lines.length > 0) return pid
    await systemClock.sleep(5, t.signal)
  }
}

/** Whether a process runs; one that only waits for its parent to notice its end does not. */
function isAlive(pid: number | undefined): boolean {
  const { status, stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })
  return status === 0 && !stdout.startsWith('Z')
}

async function temporary(t: TestContext): Promise<TorDirectory> {
  const parent = await mkdtemp(join(tmpdir(), 'tor-'))
  t.after(() => rm(parent, { recursive: true, force: true }))
  return torDirectory(join(parent, 'd'))
}

function fault(expected: TorProcessError['fault'], message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof TorProcessError, String(error))
    assert.equal(error.fault, expected)
    assert.match(error.message, message)
    return true
  }
}

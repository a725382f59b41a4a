import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { systemClock as clock } from '../../lib/clock.ts'
import type { CommandRunner } from '../../ssh/script.ts'
import { SshSession } from '../../ssh/session.ts'
import { TestDropbear } from '../../ssh/test-dropbear.ts'
import { BoxShell, type FileWrite } from './box-shell.ts'
import { RemoteCommandError } from './remote-command-error.ts'

const never = new AbortController().signal

describe('BoxShell, with a real dropbear and a real shell', () => {
  let dropbear: TestDropbear
  let session: SshSession
  let shell: BoxShell
  before(async () => {
    dropbear = await TestDropbear.start()
    session = new SshSession({ target: dropbear.target, clock })
    shell = new BoxShell(session, never)
  })
  after(async () => {
    await session[Symbol.asyncDispose]()
    await dropbear[Symbol.asyncDispose]()
  })

  const fileOf = (path: string, more: Partial<FileWrite> = {}): FileWrite => ({
    path,
    text: 'new\n',
    mode: 0o600,
    from: undefined,
    copies: [],
    ...more,
  })
  /** A directory of its own, on the box. */
  const directory = (name: string) => {
    const path = join(dropbear.home, name)
    mkdirSync(path)
    return path
  }

  it('writes and reads a file with its mode, whatever its bytes and its name', async () => {
    const path = join(dropbear.home, '-a file; $(x)')
    const text = Buffer.from(Array.from({ length: 70_000 }, (_, n) => (n * 7) % 256)).toString('latin1')
    const written = await shell.write(fileOf(path, { text, mode: 0o755 }))
    assert.ok(readFileSync(path).equals(Buffer.from(text, 'latin1')))
    assert.equal(statSync(path).mode & 0o7777, 0o755)
    assert.deepEqual(await shell.read(path), written)
    await shell.write(fileOf(path, { text: '', from: written }))
    assert.deepEqual([readFileSync(path, 'latin1'), statSync(path).mode & 0o7777], ['', 0o600])
  })

  it('keeps copies of what it replaces, and what a link points to', async () => {
    const at = directory('linked')
    const [path, link, copy] = [join(at, 'file'), join(at, 'link'), join(at, 'copies', 'file')]
    writeFileSync(path, 'old\n', { mode: 0o640 })
    symlinkSync('file', link)
    const old = await shell.read(link)
    await shell.write(fileOf(link, { from: old, copies: [copy] }))
    assert.equal(readFileSync(path, 'latin1'), 'new\n')
    assert.equal(readFileSync(copy, 'latin1'), 'old\n')
    await shell.restore(link, copy)
    assert.deepEqual([readFileSync(path, 'latin1'), statSync(path).mode & 0o7777], ['old\n', 0o640])
    assert.deepEqual(readdirSync(at).sort(), ['copies', 'file', 'link'])
  })

  it('leaves the old file when not all of the new one arrives', async () => {
    const at = directory('cut')
    const path = join(at, 'file')
    const old = await shell.write(fileOf(path, { text: 'old' }))
    // As a connection that breaks in the middle would look to the command: the end of stdin comes early.
    const cut: CommandRunner = {
      run: async (command, options, signal) =>
        await session.run(command, { ...options, stdin: Buffer.from(options.stdin ?? '').subarray(0, -1) }, signal),
    }
    await assert.rejects(new BoxShell(cut, never).write(fileOf(path, { from: old })), /not all of it arrived/)
    assert.equal(readFileSync(path, 'utf8'), 'old')
    assert.deepEqual(readdirSync(at), ['file'])
  })

  it('replaces nothing that somebody else changed meanwhile', async () => {
    const at = directory('changed')
    const path = join(at, 'file')
    const old = await shell.write(fileOf(path, { text: 'old' }))
    writeFileSync(path, 'of somebody else')
    await assert.rejects(shell.write(fileOf(path, { from: old })), /somebody changed it just now/)
    await assert.rejects(shell.write(fileOf(path)), /somebody changed it just now/)
    assert.equal(readFileSync(path, 'utf8'), 'of somebody else')
    assert.deepEqual(readdirSync(at), ['file'])
  })

  it('lets two write the same file at once: each has written it, or is told that somebody has changed it', async () => {
    const at = directory('twice')
    const path = join(at, 'file')
    // A session does one thing at a time.
    await using other = new SshSession({ target: dropbear.target, clock })
    const shells = [shell, new BoxShell(other, never)]
    const texts = ['a', 'b'].map((letter) => letter.repeat(2_000_000))
    for (let round = 0; round < 5; round++) {
      rmSync(path, { force: true })
      const both = await Promise.allSettled(texts.map((text, n) => shells[n]?.write(fileOf(path, { text }))))
      for (const written of both)
        if (written.status === 'rejected') assert.match(String(written.reason), /somebody changed it just now/)
      assert.ok(texts.includes(readFileSync(path, 'utf8')))
      assert.deepEqual(readdirSync(at), ['file'])
    }
  })

  it('takes away what is left of a writer that was killed, and nothing of one that goes on', async () => {
    const at = directory('killed')
    const path = join(at, 'file')
    const [ofDead, ofLiving] = [`${path}.cbtor-new.999999999`, `${path}.cbtor-new.1`]
    for (const left of [ofDead, ofLiving]) writeFileSync(left, 'half')
    await shell.write(fileOf(path, { text: 'whole' }))
    assert.deepEqual(readdirSync(at), ['file', 'file.cbtor-new.1'])
    assert.equal(readFileSync(path, 'utf8'), 'whole')
  })

  it('says why a file cannot be written or read', async () => {
    await assert.rejects(shell.write(fileOf('/no-such-directory/x')), (error) => {
      assert.ok(error instanceof RemoteCommandError)
      assert.match(error.message, /^Cannot write \/no-such-directory\/x: .*no-such-directory.* \(exit code \d+\)$/)
      return true
    })
    await assert.rejects(shell.write(fileOf('/etc/a\nb')), { fault: 'invalid' })
    await assert.rejects(shell.read(dropbear.home), /Cannot read .* of the box: it is no regular file/)
  })
})

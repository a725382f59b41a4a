import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { systemClock as clock } from '../lib/clock.ts'
import { command, type SshCommand } from './command.ts'
import { RemoteCommandError, writeFile } from './files.ts'
import { runScript } from './script.ts'
import { SshSession } from './session.ts'
import { TestDropbear } from './test-dropbear.ts'

const never = new AbortController().signal
const limitMs = 5_000

const SHOW = command`IFS= read -r first && IFS= read -r second && printf '[%s]' "$first" "$second" && cat`

describe('values and files by stdin, with a real dropbear', () => {
  let dropbear: TestDropbear
  let session: SshSession
  before(async () => {
    dropbear = await TestDropbear.start()
    session = new SshSession({ target: dropbear.target, clock })
  })
  after(async () => {
    await session[Symbol.asyncDispose]()
    await dropbear[Symbol.asyncDispose]()
  })

  it('gives a script its values as they are, and the rest of stdin behind them', async () => {
    const lines = [`  -x 'a' "b" $(reboot) \\n ; \` * ~ ü\t`, '']
    const { stdout } = await runScript(session, SHOW, { lines, body: 'one\ntwo\n', limitMs }, never)
    assert.equal(stdout, `[${lines[0]}][]one\ntwo\n`)
  })

  it('refuses a value that is no single line, and runs nothing', async () => {
    const untouched = { run: (_: SshCommand) => assert.fail('nothing is to run') }
    for (const line of ['a\nb', 'a\n', '\0'])
      await assert.rejects(runScript(untouched, SHOW, { lines: ['ok', line], limitMs }, never), {
        fault: 'invalid',
        message: /value 2/,
      })
  })

  it('writes a file with its mode, whatever its bytes and its name', async () => {
    const path = join(dropbear.home, '-a file; $(x)')
    const content = Buffer.from(Array.from({ length: 70_000 }, (_, n) => (n * 7) % 256))
    for (const [bytes, mode] of [
      [content, 0o755],
      ['', 0o600],
    ] as const) {
      await writeFile(session, { path, content: bytes, mode }, {}, never)
      assert.ok(readFileSync(path).equals(Buffer.from(bytes)))
      assert.equal(statSync(path).mode & 0o7777, mode)
    }
  })

  it('leaves the old file when the new one cannot be written whole', async () => {
    const directory = join(dropbear.home, 'd')
    const path = join(directory, 'file')
    mkdirSync(directory)
    await writeFile(session, { path, content: 'old', mode: 0o600 }, {}, never)
    // As a connection that breaks in the middle would look to the script: the end of stdin comes early.
    const cut = {
      run: async (...[script, options, signal]: Parameters<SshSession['run']>) =>
        await session.run(script, { ...options, stdin: Buffer.from(options.stdin ?? '').subarray(0, -1) }, signal),
    }
    await assert.rejects(writeFile(cut, { path, content: 'new', mode: 0o600 }, {}, never), RemoteCommandError)
    assert.equal(readFileSync(path, 'utf8'), 'old')
    assert.deepEqual(readdirSync(directory), ['file'])
  })

  it('says why a file cannot be written', async () => {
    await assert.rejects(
      writeFile(session, { path: '/no-such-directory/x', content: 'x', mode: 0o600 }, {}, never),
      (error) => {
        assert.ok(error instanceof RemoteCommandError)
        assert.match(
          error.message,
          /^Cannot write \/no-such-directory\/x on the box: .*no-such-directory.* \(exit code \d+\)$/,
        )
        return true
      },
    )
    for (const path of ['etc/x', '', '/etc/', '/etc/a\nb'])
      await assert.rejects(writeFile(session, { path, content: 'x', mode: 0o600 }, {}, never), { fault: 'invalid' })
    await assert.rejects(writeFile(session, { path: '/x', content: 'x', mode: 0o10000 }, {}, never), {
      fault: 'invalid',
    })
  })
})

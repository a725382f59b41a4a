import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { systemClock as clock } from '../lib/clock.ts'
import { command, type SshCommand } from './command.ts'
import { runScript } from './script.ts'
import { SshSession } from './session.ts'
import { TestDropbear } from './test-dropbear.ts'

const never = new AbortController().signal
const limitMs = 5_000

const SHOW = command`IFS= read -r first && IFS= read -r second && printf '[%s]' "$first" "$second" && cat`

describe('runScript(), with a real dropbear', () => {
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
})

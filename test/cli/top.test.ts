import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import type { Terminal } from '../../src/cli/terminal.ts'
import { runTestCli } from '../../src/cli/test-cli.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { eventually } from '../asking.ts'
import { startCliService } from './cli-service.ts'

/** A terminal that somebody else looks at, and presses keys of. */
class FakeTerminal implements Terminal {
  columns = 130
  rows = 30
  isTaken = false
  shown = ''
  #on: Parameters<Terminal['take']>[0] | undefined

  write(text: string): void {
    this.shown = text
  }

  take(on: Parameters<Terminal['take']>[0]): Disposable {
    this.#on = on
    this.isTaken = true
    return {
      [Symbol.dispose]: () => {
        this.isTaken = false
      },
    }
  }

  press(...keys: readonly string[]): void {
    for (const key of keys) this.#on?.key(key)
  }

  resize(columns: number, rows: number): void {
    Object.assign(this, { columns, rows })
    this.#on?.resize()
  }
}

describe('cbtor top', { timeout: 60_000 }, () => {
  it('shows the service as it goes, obeys keys, and goes on after a restart of the service', async () => {
    await using service = await startCliService()
    const terminal = new FakeTerminal()
    const interrupt = new AbortController()
    const env = { ...service.env, NO_COLOR: '1' }
    const ended = runTestCli(['top'], env, { clock: systemClock, terminal, signal: interrupt.signal })
    const shows = (pattern: RegExp) =>
      eventually(async () => pattern.test(stripVTControlCharacters(terminal.shown)), 15_000)

    await shows(/The pool is well/)
    terminal.press('d')
    await shows(/Choose a worker first/)
    terminal.press('down', 'down', 'd')
    await shows(/tor02 is drained/)
    await shows(/^2 +tor02 +drained/m)
    assert.ok(terminal.shown.includes('\x1b[7m2 '), 'the chosen one is seen')
    assert.ok(!terminal.shown.includes('\x1b[3'), 'NO_COLOR')
    terminal.press('s')
    await shows(/state\*/)
    terminal.press('r')
    await shows(/state\^/)
    terminal.resize(40, 8)
    await shows(/tor02/)
    assert.ok(terminal.shown.split('\r\n').length <= 8)
    terminal.resize(130, 30)
    await service.restart()
    await shows(/The service has gone; trying again/)
    await shows(/quit/)
    terminal.press('q')
    const { code, err } = await ended
    assert.deepEqual([code, err, terminal.isTaken], [0, '', false])
  })

  it('gives the terminal back when it is interrupted', async () => {
    await using service = await startCliService()
    const terminal = new FakeTerminal()
    const interrupt = new AbortController()
    const ended = runTestCli(['top'], service.env, { clock: systemClock, terminal, signal: interrupt.signal })
    await eventually(async () => terminal.shown !== '', 15_000)
    interrupt.abort(new Error('Interrupted by SIGTERM'))
    assert.equal((await ended).code, 130)
    assert.equal(terminal.isTaken, false)
  })

  for (const [how, end] of [
    ['q', (input: NodeJS.WritableStream) => input.write('q')],
    ['Ctrl-C', (input: NodeJS.WritableStream) => input.write('\x03')],
  ] as const) {
    it(`leaves a real terminal as it was, after ${how}`, async () => {
      await using service = await startCliService()
      const key = readFileSync(join(service.env.CBTOR_STATE, 'admin.key'), 'utf8').trim()
      // `script` is the only program of every Debian that makes a pseudo-terminal.
      const command = `stty rows 24 cols 100; "${process.execPath}" src/main.ts top; echo "ended with $?"; stty -a`
      const child = spawn('script', ['-qec', command, '/dev/null'], {
        env: { ...process.env, ...service.env, CBTOR_KEY: key, TERM: 'xterm' },
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      let shown = ''
      child.stdout.setEncoding('utf8').on('data', (text) => {
        shown += text
      })
      await eventually(async () => shown.includes('tor04'), 30_000)
      end(child.stdin)
      await once(child, 'close')
      const marks = ['\x1b[?1049h\x1b[?25l', 'tor04', '\x1b[?25h\x1b[?1049l', 'ended with 0\r\n'].map((mark) =>
        shown.lastIndexOf(mark),
      )
      assert.deepEqual(
        [...marks].sort((a, b) => a - b),
        marks,
        shown,
      )
      assert.ok(!marks.includes(-1), shown)
      assert.match(shown, / icanon .* echo /, 'as stty has it')
    })
  }
})

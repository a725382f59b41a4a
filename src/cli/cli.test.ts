import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { systemClock } from '../lib/clock.ts'
import { EXIT } from './exit-with.ts'
import { type CliOutcome, runTestCli } from './test-cli.ts'

describe('runCli()', () => {
  it('takes a wrong command line of any command, however deep, for wrong usage', async () => {
    for (const argv of [
      ['nonsense'],
      ['up', '--nonsense'],
      ['worker'],
      ['worker', 'nonsense'],
      ['worker', 'install'],
      ['worker', 'install', 'root@192.0.2.11', '--tunnel', '255'],
      ['worker', 'install', '-oProxyCommand=reboot'],
      ['worker', 'install', 'a;reboot'],
      ['worker', 'check', '192.0.2.11', '--nonsense'],
      ['tunnel', 'nonsense'],
      ['tunnel', 'up', '--nonsense'],
      ['tunnel', 'config', 'tor01', '--for', 'nonsense'],
      ['testnet', 'up', '--latency', 'soon'],
      ['doctor', '--nonsense'],
    ]) {
      const { code, out, err } = await run(argv)
      assert.equal(code, EXIT.usage, `${argv.join(' ')}: ${err}`)
      assert.equal(out, '')
      assert.notEqual(err, '')
    }
  })

  it('has its commands under the names that they are called by', async () => {
    const { out } = await run(['--help'])
    const names = [...out.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name ?? '')
    assert.ok(names.length > 8, out)
    for (const name of names.filter((each) => each !== 'help')) {
      const help = await run([name, '--help'])
      assert.match(help.out, new RegExp(`^Usage: cbtor ${name}\\b.*\n\n\\w`), help.err)
    }
  })

  it('lets no argument give a terminal orders', async () => {
    for (const argv of [
      ['workers', '\x1b]0;x\x07'],
      ['config', 'check', '/\x9b31m'],
    ]) {
      const { err } = await run(argv)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
      assert.match(err, /^[^\x1b\x07\x9b]+$/)
    }
  })

  it('says that a key cannot be one, rather than that no service answers', async () => {
    const state = mkdtempSync(join(tmpdir(), 'cbtor-cli-'))
    const { code, err } = await runTestCli(['status'], { CBTOR_STATE: state, CBTOR_KEY: 'cbt_a\ncbt_b' })
    rmSync(state, { recursive: true })
    assert.deepEqual([code, /^cbtor: Cannot take what is in CBTOR_KEY/.test(err)], [EXIT.usage, true], err)
    assert.doesNotMatch(err, /cbt_[ab]/)
  })

  it('tells its version', async () => {
    const { code, out } = await run(['--version'])
    assert.deepEqual([code, /^\d+\.\d+\.\d+\n$/.test(out)], [EXIT.ok, true], out)
  })

  it('helps on standard output, also with what is below a command', async () => {
    for (const argv of [
      ['--help'],
      ['worker', '--help'],
      ['worker', 'install', '--help'],
      ['tunnel', 'up', '--help'],
      ['doctor', '--help'],
    ]) {
      const { code, out, err } = await run(argv)
      assert.deepEqual([code, err], [EXIT.ok, ''], argv.join(' '))
      assert.match(out, /^Usage: cbtor /)
    }
  })

  it('tells a failure from wrong usage', async () => {
    const { code, err } = await run(['worker', 'check', 'tor01', '--key', '/nowhere/key'])
    assert.equal(code, EXIT.failed)
    assert.match(err, /^cbtor: Cannot use the private key \/nowhere\/key: there is no such file/)
    const ill = await run(['doctor', '--config', '/nowhere.yaml'])
    assert.deepEqual([ill.code, ill.err], [EXIT.failed, 'cbtor: One thing is wrong: configuration\n'])
    assert.match(ill.out, /^WRONG +configuration +\/nowhere\.yaml: cannot be read/m)
  })
})

async function run(argv: readonly string[]): Promise<CliOutcome> {
  const state = mkdtempSync(join(tmpdir(), 'cbtor-cli-'))
  try {
    return await runTestCli(argv, { CBTOR_STATE: state }, { clock: systemClock })
  } finally {
    rmSync(state, { recursive: true })
  }
}

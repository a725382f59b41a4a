import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { runTestCli } from '../../src/cli/test-cli.ts'
import { type CliService, startCliService } from './cli-service.ts'

const SHELLS = ['bash', 'zsh', 'fish'] as const

describe('cbtor completion', { timeout: 120_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-completion-'))
  const fileOf = (shell: string) => join(directory, `cbtor.${shell}`)
  let service: CliService

  before(async () => {
    service = await startCliService()
    for (const shell of SHELLS) writeFileSync(fileOf(shell), (await runTestCli(['completion', shell], {})).out)
  })
  after(async () => {
    rmSync(directory, { recursive: true })
    await service[Symbol.asyncDispose]()
  })

  /** What bash offers behind these words; the last one is being typed. `cbtor` is this program. */
  async function offered(...words: readonly string[]): Promise<readonly string[]> {
    const script = `
      cbtor() { "${process.execPath}" src/main.ts "$@"; }
      source "$1"; shift
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
      $(complete -p cbtor | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
      printf '%s\\n' "\${COMPREPLY[@]}"`
    const args = ['-c', script, 'bash', fileOf('bash'), 'cbtor', ...words]
    const env = { ...process.env, ...service.env }
    const { stdout } = await promisify(execFile)('bash', args, { env })
    return stdout.split('\n').filter(Boolean)
  }

  it('offers commands, and what is below them', async () => {
    assert.deepEqual(await offered('wo'), ['workers'])
    assert.ok((await offered('')).includes('status'))
    assert.deepEqual(await offered('workers', 're'), ['restart', 'reboot'])
    assert.deepEqual(await offered('worker', 'dra'), ['drain'], 'by its other name, too')
    assert.deepEqual(await offered('status', ''), [])
  })

  it('offers options, and the words that they take', async () => {
    assert.deepEqual(await offered('fetch', '--max'), ['--max-redirs', '--max-bytes'])
    assert.deepEqual(await offered('fetch', '--json', '--isolation', 're'), ['request'])
    assert.deepEqual(await offered('mode', 'fail'), ['failover'])
    assert.deepEqual(await offered('completion', ''), ['bash', 'zsh', 'fish'])
    assert.deepEqual(await offered('fetch', '-o', `${directory}/cbtor.z`), [`${directory}/cbtor.zsh`])
  })

  it('offers what the service has, and nothing when there is none', async () => {
    assert.deepEqual(await offered('workers', 'restart', 'tor0'), ['tor01', 'tor02', 'tor03', 'tor04'])
    assert.deepEqual(await offered('events', '--worker', 'tor03'), ['tor03'])
    const { CBTOR_LISTEN, ...none } = service.env
    Object.assign(service.env, { CBTOR_LISTEN: '127.0.0.1:1' })
    assert.deepEqual(await offered('workers', 'stop', ''), [])
    Object.assign(service.env, { CBTOR_LISTEN, ...none })
  })

  it('runs nothing that a client has called its session, now or when it is taken', async () => {
    const trace = join(directory, 'trace')
    const evil = [`$(touch\${IFS}${trace})`, `\`touch\${IFS}${trace}\``, '*', `a'b;"c`]
    for (const key of evil) {
      const { code, err } = await runTestCli(['fetch', 'http://www.test/', '--sticky-key', key], service.env)
      assert.equal(code, 0, err)
    }
    const words = await offered('sessions', 'end', '')
    const { stdout } = await promisify(execFile)('bash', ['-c', `printf '%s\\n' ${words.join(' ')}`])
    assert.deepEqual(stdout.trim().split('\n').sort(), evil.toSorted())
    assert.ok(!existsSync(trace), 'it was run')
  })

  it('is well written for each shell', async () => {
    for (const shell of SHELLS) {
      const { status, error, stderr } = spawnSync(shell, ['-n', fileOf(shell)], { encoding: 'utf8' })
      if (error && 'code' in error && error.code === 'ENOENT') continue // what it holds is seen below
      assert.equal(status, 0, `${shell}: ${stderr}`)
    }
  })

  it('has every command and option for each shell', async () => {
    const help = (await runTestCli(['fetch', '--help'], {})).out
    const options = [...help.matchAll(/^ {2}(?:-\w, )?--([a-z-]+)/gm)].map(([, name]) => name ?? '')
    assert.ok(options.length > 20)
    for (const shell of SHELLS) {
      const script = (await runTestCli(['completion', shell], {})).out
      for (const name of options)
        assert.ok(script.includes(shell === 'fish' ? `-l ${name}` : `--${name}`), `${shell}: ${name}`)
      for (const path of ['cbtor workers newnym', 'cbtor jobs submit', 'cbtor testnet up'])
        assert.ok(script.includes(`'${path}'`), `${shell}: ${path}`)
    }
  })

  it('is refused for a shell that it does not know', async () => {
    const { code, err } = await runTestCli(['completion', 'tcsh'], {})
    assert.equal(code, 2)
    assert.match(err, /Allowed choices are bash, zsh, fish/)
  })
})

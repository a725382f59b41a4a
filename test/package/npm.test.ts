import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { eventually } from '../asking.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const MIB = 1024 * 1024
const run = promisify(execFile)

describe('the npm package', { timeout: 400_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-npm-'))
  const installed = join(directory, 'empty')
  const packaged = join(installed, 'node_modules', 'cbtor')
  // Of this checkout there is nothing in PATH, but for the Node that npm is to run with.
  const node = join(directory, 'bin')
  const path = process.env.PATH?.split(delimiter).filter((folder) => !folder.startsWith(ROOT)) ?? []
  const env = { ...process.env, PATH: [node, ...path].join(delimiter), npm_config_update_notifier: 'false' }
  const inEmpty = { cwd: installed, env, timeout: 180_000 }
  let archive = ''

  before(async () => {
    mkdirSync(installed)
    await run('npm', ['pack', '--silent', '--pack-destination', directory], { cwd: ROOT })
    archive = join(directory, readdirSync(directory).find((name) => name.endsWith('.tgz')) ?? '')
    mkdirSync(node)
    await run('ln', ['-s', process.execPath, join(node, 'node')])
    writeFileSync(join(installed, 'package.json'), '{}')
    const quick = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']
    await run('npm', ['install', ...quick, archive], inEmpty)
  })
  after(() => rmSync(directory, { recursive: true, force: true }))

  it('has what is run and read, and nothing else', (t) => {
    const files = readdirSync(packaged, { recursive: true, encoding: 'utf8' })
    const needless = files.filter(
      (name) =>
        /\.test\.|(?:^|\/)(?:test|fake)-|^(?:src|test|bench|script)\/|^dashboard\/(?!dist)|\.ts$/.test(name) &&
        !/^dist\/.*\.d\.ts$/.test(name),
    )
    assert.deepEqual(needless, [])
    for (const name of [
      'bin/cbtor.js',
      'dashboard/dist/index.html',
      'docs/install.md',
      'openwrt/manifest',
      'README.md',
      'LICENSE',
    ])
      assert.ok(files.includes(name), name)
    const bytes = statSync(archive).size
    t.diagnostic(`${files.length} files, ${(bytes / MIB).toFixed(2)} MiB packed`)
    assert.ok(bytes < 4 * MIB, `${bytes} bytes`)
  })

  it('has the dependencies that it says, and no others', async (t) => {
    const { stdout } = await run('npm', ['ls', '--omit=dev', '--all', '--parseable'], inEmpty)
    t.diagnostic(`${stdout.trim().split('\n').length - 2} packages besides its own`)
    assert.doesNotMatch(stdout, /extraneous|invalid|redoc|vite|preact/)
  })

  it('helps', async () => {
    const { stdout } = await run('npx', ['cbtor', '--help'], inEmpty)
    assert.match(stdout, /^Usage: cbtor/m)
  })

  it('can be imported: the client, and nothing else', async () => {
    const script = `
      import { createApiClient } from 'cbtor/client'
      const client = createApiClient({ baseUrl: 'http://127.0.0.1:1' })
      const inner = await import('cbtor/dist/service.js').catch(({ code }) => code)
      console.log(typeof client.fetch, inner)`
    const { stdout } = await run('node', ['--input-type=module', '--eval', script], inEmpty)
    assert.equal(stdout, 'function ERR_PACKAGE_PATH_NOT_EXPORTED\n')
    writeFileSync(
      join(installed, 'typed.mts'),
      `import { createApiClient } from 'cbtor/client'
const health = await createApiClient({ baseUrl: 'http://127.0.0.1:1' }).health()
const mode: string = health.mode
// @ts-expect-error there is no such field
health.nonsense
export default mode
`,
    )
    const types = [
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--module',
      'nodenext',
      '--target',
      'es2024',
      '--types',
      '',
      'typed.mts',
    ]
    await run(join(ROOT, 'node_modules/.bin/tsc'), types, inEmpty)
  })

  it('shows everything on a private Tor network, with its page and its manual', async () => {
    const state = join(directory, 'demo')
    const demo = spawn('npx', ['cbtor', 'demo', '--listen', '127.0.0.1:0', '--state', state], {
      ...{ cwd: installed, env, detached: true },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const said = { out: '', err: '' }
    demo.stdout.on('data', (text) => {
      said.out += text
    })
    demo.stderr.on('data', (text) => {
      said.err += text
    })
    const closed = once(demo, 'close')
    try {
      const isUp = eventually(async () => existsSync(join(state, 'demo.json')) && /Ctrl-C/.test(said.out), 120_000)
      await Promise.race([isUp, closed])
      assert.equal(demo.exitCode, null, said.err)
      assert.match(said.out, /^onion service .* 200 /m)
      const { api } = JSON.parse(readFileSync(join(state, 'demo.json'), 'utf8')) as { api: string }
      for (const [page, content] of [
        ['/', /<!doctype html>.*<script[^>]+src="\/?[^"]*index-/is],
        ['/manual', /<!doctype html>.*<h1/is],
        ['/manual/install', /<!doctype html>.*npx/is],
        ['/docs/', /swagger/i],
        ['/redoc/redoc.js', /redoc/i],
      ] as const) {
        const answer = await fetch(`${api}${page}`, { headers: { accept: 'text/html, */*' } })
        assert.equal(answer.status, 200, page)
        assert.match(await answer.text(), content, page)
      }
    } finally {
      interrupt(demo)
      await closed
    }
    assert.equal(existsSync(join(state, 'demo.json')), false, said.err)
    const left = processesWith(state)
    assert.deepEqual(left, [])
  })
})

function processesWith(text: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text)
    } catch {
      return false
    }
  })
}

/** As Ctrl-C in a terminal does: all of the process group. */
function interrupt({ pid, exitCode }: ChildProcess): void {
  if (pid !== undefined && exitCode === null) process.kill(-pid, 'SIGINT')
}

describe('an older Node', () => {
  const command = join(ROOT, 'bin/cbtor.js')

  it('is told of in a sentence, not by a syntax error', async () => {
    const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { engines: { node: string } }
    const oldest = Number(engines.node.replace('>=', ''))
    const older = `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'${oldest - 1}.9.0'}})`
    const failure = await run(process.execPath, ['--import', older, command, '--help']).catch((error) => error)
    assert.equal(failure.code, 1)
    assert.match(
      failure.stderr,
      new RegExp(`^cbtor: this is Node.js ${oldest - 1}\\.9\\.0, and CBTOR takes ${oldest} or newer\\. [^\\n]+\\n$`),
    )
  })

  it('runs what tells it, whatever it is', () => {
    const text = readFileSync(command, 'utf8')
    assert.doesNotMatch(text, /^import |\?\.|\?\?|\busing\b/m, 'nothing that Node 18 cannot read')
  })
})

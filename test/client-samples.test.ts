/**
 * A program that has installed the package: the samples of docs/client.md in TypeScript, compiled as strictly as a compiler can and run
 * against a service. (Those in Python and shell are run on the private network, with all other pages.)
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { fakeAnswer, fakeStream } from '../src/api/fake-backend.ts'
import type { FakeJobs } from '../src/api/fake-jobs.ts'
import { startServer } from '../src/api/test-server.ts'
import { CbtorError } from '../src/domain/errors.ts'
import type { FetchRequest } from '../src/domain/exchange.ts'
import type { JobFetchView } from '../src/domain/job.ts'
import { systemClock } from '../src/lib/clock.ts'
import { blocksOf, ROOT } from './docs/pages.ts'

const run = promisify(execFile)
const SAMPLES = blocksOf('docs/client.md').filter(({ language }) => language === 'ts')
const STRICT = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  target: 'es2024',
  noEmitOnError: true,
}

let folder: string
const modules = () => join(folder, 'node_modules')

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cbtor-consumer-'))
  await compile(ROOT, [
    '-p',
    'tsconfig.client.json',
    '--emitDeclarationOnly',
    'false',
    '--outDir',
    join(modules(), 'cbtor', 'dist'),
  ])
  writeFileSync(join(modules(), 'cbtor', 'package.json'), readFileSync(join(ROOT, 'package.json')))
  mkdirSync(join(modules(), '@types'))
  // What an installation has beside it: the one dependency of the client on Node, and the types of Node. Not those of zod or fastify.
  for (const name of ['undici', 'undici-types', '@types/node']) {
    symlinkSync(join(ROOT, 'node_modules', name), join(modules(), name))
  }
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}')
})

after(() => rmSync(folder, { recursive: true, force: true }))

describe('cbtor/client, installed', { timeout: 120_000 }, () => {
  it('compiles the samples and runs them', async () => {
    await using running = await startServer({ auth: 'on', clock: systemClock })
    const { backend, keys, port } = running
    backend.answer = async (request) => {
      if (request.url.includes('192.168'))
        throw new CbtorError('target_forbidden', 'Cannot fetch: it is a private address')
      if (request.stickyKey) backend.beginSession({ owner: request.caller?.id ?? '', key: request.stickyKey })
      return fakeAnswer(request)
    }
    backend.streamed = async (request) => fakeStream(request, ['x'.repeat(100_000)])
    endJobs(backend.jobs)
    const names = SAMPLES.map((sample, index) => {
      const text = sample.text.replaceAll('127.0.0.1:32211', `127.0.0.1:${port}`)
      writeFileSync(join(folder, `sample${index}.ts`), text)
      return `sample${index}`
    })
    assert.ok(names.length >= 6)
    writeConfig({ ...STRICT, module: 'nodenext', types: ['node'] }, names)
    await compile(folder, ['-p', '.'])

    const { text: KEY } = keys.create({ name: 'samples', scopes: ['admin'] })
    const outputs = await Promise.all(
      names.map(async (name) => {
        const { stdout } = await run(process.execPath, [`${name}.js`], { cwd: folder, env: { KEY }, timeout: 60_000 })
        return stdout
      }),
    )
    const all = outputs.join('')
    for (const expected of [
      /^200 \{"IsTor":true\} by exit exit1 in 10 ms$/m,
      /^the pool is healthy, with 4 workers$/m,
      /^exit1 exit1 false\nrequest$/m,
      /^200 tor01 received=\d+, sent=\d+, body=\d+$/m,
      /^0 done 200$/m,
      /^200\ntarget_forbidden policy Cannot fetch: it is a private address$/m,
    ]) {
      assert.match(all, expected)
    }
    assert.equal(readFileSync(join(folder, 'page.html'), 'utf8').length, 100_000)
  })

  it('is the same where there is no Node: types and all, and nothing is imported but its own files', async () => {
    const [first] = SAMPLES
    writeFileSync(join(folder, 'browser.ts'), first?.text.replace('process.env.KEY', "'cbt_a_b'") ?? '')
    writeConfig(
      { ...STRICT, module: 'esnext', moduleResolution: 'bundler', lib: ['es2024', 'dom', 'dom.iterable'], types: [] },
      ['browser'],
    )
    const { stdout } = await compile(folder, ['-p', '.', '--listFiles', '--noEmit'])
    const files = stdout.split('\n').filter((line) => line.includes('node_modules'))
    assert.ok(files.some((file) => file.endsWith('cbtor/dist/client/portable.d.ts')))
    assert.deepEqual(
      files.filter((file) => !/cbtor\/dist\/client\/|typescript/.test(file)),
      [],
    )
    const dist = join(modules(), 'cbtor', 'dist', 'client')
    const seen = new Set<string>()
    const visit = (file: string) => {
      if (seen.has(file)) return
      seen.add(file)
      for (const [, from = ''] of readFileSync(join(dist, file), 'utf8').matchAll(/from '([^']+)'/g)) {
        assert.match(from, /^\.\/[\w-]+\.js$/, file)
        visit(from.slice(2))
      }
    }
    visit('portable.js')
  })
})

/** Every job has ended when it is asked for, with one answer. */
function endJobs(jobs: FakeJobs): void {
  const get = jobs.get.bind(jobs)
  jobs.get = (caller, id) => ({ ...get(caller, id), state: 'done', endedAt: 1_000 })
  const { body, ...answer } = fakeAnswer({ url: 'http://a.test/', isolation: 'destination' } as FetchRequest)
  const fetch: JobFetchView = {
    ...{ n: 0, url: answer.url, method: 'GET', responseEncoding: 'auto', state: 'done', phase: undefined, tries: 1 },
    ...{ nextAt: undefined, endedAt: 1_000, answer, body, bodyBytes: body.length, problem: undefined },
  }
  jobs.fetches.push(fetch)
}

function writeConfig(compilerOptions: object, names: readonly string[]): void {
  const files = names.map((name) => `${name}.ts`)
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
}

/** Rejects with what the compiler has to say. */
async function compile(cwd: string, args: readonly string[]): Promise<{ readonly stdout: string }> {
  try {
    return await run(join(ROOT, 'node_modules', '.bin', 'tsc'), [...args], { cwd, maxBuffer: 16 * 1024 * 1024 })
  } catch (error) {
    throw new Error(String((error as { stdout?: string }).stdout), { cause: error })
  }
}

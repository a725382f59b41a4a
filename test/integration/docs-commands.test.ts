/** What the pages tell the reader to type is typed here: every block that says `run`, in the order of its page, on one private network. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createApiClient } from '../../src/client/client.ts'
import { hasLines } from '../docs/expected.ts'
import { type Block, blocksOf, PAGES, placeOf, ROOT } from '../docs/pages.ts'
import { type Stage, substituted } from '../docs/substitutions.ts'
import { createLab, type Lab } from './lab.ts'

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path))
const LIMIT_MS = 60_000

let lab: Lab
let folder: string
let stage: Omit<Stage, 'etc' | 'keyId'>
let environment: Readonly<Record<string, string>>

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cbtor-docs-'))
  const at = { host: '127.0.0.1', port: 0 }
  lab = await createLab({
    auth: 'on',
    exits: { min_exits: 1, min_families: 1 },
    proxy: { http: at, socks: at, both: undefined, auth: 'on', idle_timeout: 60_000 },
  })
  const { network, service, config } = lab
  const http = placeOfPort(service.proxy.http)
  const socks = placeOfPort(service.proxy.socks)
  const api = new URL(service.url).host
  const { urls, caFile } = network
  stage = {
    ...{ api, http, socks, check: urls.httpsCheck, www: urls.httpsWww, onion: new URL(urls.onion).host },
    chromium: CHROMIUM ?? '/usr/bin/chromium',
    country: await countryWithExit(`${urls.httpsCheck}/api/ip`),
  }

  const bin = join(folder, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'cbtor'), `#!/bin/sh\nexec "${process.execPath}" "${ROOT}/src/main.ts" "$@"\n`)
  chmodSync(join(bin, 'cbtor'), 0o755)
  writeFileSync(join(folder, '.wgetrc'), `ca_certificate = ${caFile}\n`)
  const file = join(folder, 'cbtor.yaml')
  writeFileSync(file, JSON.stringify({ listen: api, state: config.state, proxy: { http, socks } }))
  environment = {
    PATH: `${bin}:${join(process.execPath, '..')}:/usr/sbin:/usr/bin:/sbin:/bin`,
    HOME: folder,
    KEY: service.adminKey ?? '',
    CBTOR_CONFIG: file,
    // That sites of the private network are trusted.
    CURL_CA_BUNDLE: caFile,
    REQUESTS_CA_BUNDLE: caFile,
    NODE_EXTRA_CA_CERTS: caFile,
    GIT_SSL_CAINFO: caFile,
    CRAWLEE_LOG_LEVEL: 'ERROR',
  }
})

after(async () => {
  await lab?.[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

for (const page of PAGES) {
  const blocks = blocksOf(page)
  if (!blocks.some(({ mark }) => mark === 'run')) continue
  describe(page, { timeout: 300_000 }, () => {
    // One folder for a page, as the reader has one. Below the modules, where JavaScript finds what it imports.
    const place = join(ROOT, 'node_modules', '.cache', `docs-${process.pid}-${page.replaceAll(/\W/g, '-')}`)
    before(() => mkdirSync(place, { recursive: true }))
    after(() => rmSync(place, { recursive: true, force: true }))

    for (const [index, block] of blocks.entries()) {
      if (block.mark !== 'run') continue
      it(`line ${block.line}: ${firstLine(block)}`, { timeout: LIMIT_MS + 10_000 }, async () => {
        const seen = await run(block, place)
        const next = blocks[index + 1]
        if (next?.mark === 'expected') assert.ok(hasLines(seen, next.text), `${placeOf(next)}, but was:\n${seen}`)
      })
    }
  })
}

async function countryWithExit(url: string): Promise<string> {
  const api = createApiClient({ baseUrl: lab.service.url, key: lab.service.adminKey })
  for (const country of ['de', 'nl', 'us'])
    if (
      await api.fetch({ url, country }).then(
        () => true,
        () => false,
      )
    )
      return country
  return 'se'
}

async function run(block: Block, place: string): Promise<string> {
  const { key, id } = await createApiClient({ baseUrl: lab.service.url, key: lab.service.adminKey }).createKey({
    ...{ name: 'to be revoked', scopes: ['fetch'] },
  })
  assert.ok(key)
  const text = substituted(block.text, { ...stage, etc: join(place, 'etc'), keyId: id })
  const [program, args] = programOf(block.language, text, place)
  const { code, out, err } = await spawned(program, args, place)
  assert.equal(
    code,
    0,
    `${placeOf(block)} ended with ${code}:\n${text}\n--- standard output\n${out}\n--- standard error\n${err}`,
  )
  // `curl -s` is content with it.
  assert.doesNotMatch(out, /"type": ?"\/problems\//, `${placeOf(block)} was refused:\n${text}\n${out}`)
  return `${out}${err}` // as a terminal has it
}

function programOf(language: string, text: string, place: string): readonly [string, readonly string[]] {
  if (language === 'python') return ['/usr/bin/python3', ['-c', text]]
  if (language !== 'js') return [language, ['-eu', '-c', text]]
  const file = join(place, 'program.mjs')
  writeFileSync(file, text)
  return [process.execPath, [file]]
}

function spawned(program: string, args: readonly string[], cwd: string) {
  return new Promise<{ code: number; out: string; err: string }>((resolve) => {
    const options = { cwd, env: environment, timeout: LIMIT_MS, maxBuffer: 64 * 1024 * 1024 }
    const child = execFile(program, [...args], options, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(child.exitCode ?? -1), out, err }),
    )
    child.stdin?.end()
  })
}

function firstLine({ text }: Block): string {
  const line = text.split('\n').find((each) => each.trim() !== '' && !/^(?:import|from|#)/.test(each)) ?? ''
  return line.slice(0, 60)
}

function placeOfPort(port: string | undefined): string {
  assert.ok(port)
  return port.replace(/^.*:\/\//, '')
}

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { it } from 'node:test'

/** Who may import whom. Every folder may import itself; the files directly in `src` see all. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  lib: [],
  domain: [],
  auth: ['domain', 'lib'],
  events: ['domain', 'lib'],
  tor: ['lib'],
  health: ['domain', 'lib'],
  limits: ['domain', 'lib'],
  live: ['domain', 'lib'],
  traces: ['domain', 'lib'],
  pool: ['domain', 'lib'],
  fetch: ['domain', 'lib'],
  listen: ['domain', 'lib'],
  proxy: ['domain', 'lib', 'listen'],
  ssh: ['lib'],
  systemd: ['lib'],
  boxes: ['ssh', 'domain', 'lib'],
  tunnel: ['boxes', 'domain', 'lib'],
  testnet: ['tor', 'lib'],
  workers: ['boxes', 'cluster', 'domain', 'ssh', 'tor', 'lib'],
  store: ['domain', 'lib'],
  cluster: ['domain', 'lib', 'limits', 'store'],
  jobs: ['cluster', 'domain', 'lib', 'store'],
  mcp: ['client', 'domain', 'lib'],
  api: ['client', 'domain', 'lib', 'listen', 'mcp'],
  client: [],
  config: [
    'api',
    'boxes',
    'cluster',
    'domain',
    'events',
    'fetch',
    'health',
    'jobs',
    'lib',
    'listen',
    'pool',
    'proxy',
    'store',
    'tor',
    'workers',
  ],
  doctor: ['api', 'boxes', 'client', 'cluster', 'config', 'egress', 'lib', 'listen', 'ssh', 'tor', 'tunnel', 'workers'],
  egress: ['boxes', 'config', 'lib'],
  cli: [
    'api',
    'auth',
    'boxes',
    'client',
    'config',
    'doctor',
    'domain',
    'egress',
    'lib',
    'listen',
    'mcp',
    'ssh',
    'store',
    'tunnel',
  ],
}

/** Imports, re-exports, and what is loaded only when it is needed. */
const IMPORT = /(?:from |import |import\()'(\.[^']+)'/g

/** Where the modules of a command are loaded once it is called, and what only gateways need that share a store. Everything else is loaded with who needs it. */
const MAY_LOAD = ['src/cli/cli.ts', 'src/main.ts', 'src/service-cluster.ts']

it('every import follows the dependency table', () => {
  const broken: string[] = []
  for (const file of globSync('src/*/**/*.ts')) {
    const from = folderOf(file)
    for (const [, target = ''] of readFileSync(file, 'utf8').matchAll(IMPORT)) {
      const to = folderOf(join(dirname(file), target))
      // A driver's or store's own test runs the contract suite that lies in `test`.
      if (to === '..' && file.endsWith('.test.ts')) continue
      // What the API does is seen with the client that goes with it.
      if (from === 'api' && to === 'client' && file.endsWith('.test.ts')) continue
      if (from === 'client' && file.endsWith('.test.ts')) continue
      if (to !== from && !MAY_IMPORT[from]?.includes(to)) broken.push(`${file} imports ${target}`)
    }
  }
  assert.deepEqual(broken, [])
})

it('hardly anybody loads a module when it is needed', () => {
  const broken = globSync('src/**/*.ts').filter(
    (file) => !(MAY_LOAD.includes(file) || file.endsWith('.test.ts')) && /\bimport\(/.test(readFileSync(file, 'utf8')),
  )
  assert.deepEqual(broken, [])
})

it('the command line starts with little: what a command needs comes with the command', () => {
  const { files, packages } = loadedWith('src/main.ts')
  assert.deepEqual([...packages], ['commander'])
  assert.ok(files.size <= 12, [...files].join(', '))
})

it('a gateway that is alone has nothing of what those need that share a store', () => {
  const { packages } = loadedWith('src/service.ts')
  assert.deepEqual(
    ['bullmq', 'ioredis'].filter((name) => packages.has(name)),
    [],
  )
})

it('every folder of src has a row in the dependency table', () => {
  const folders = new Set(globSync('src/*/**/*.ts').map(folderOf))
  assert.deepEqual(
    [...folders].filter((folder) => !(folder in MAY_IMPORT)),
    [],
  )
})

it('only lib reads the clock, waits or draws random numbers', () => {
  const FORBIDDEN =
    /\b(?:Date\.now|new Date\(\)|setTimeout|setInterval|Math\.random|performance\.now|AbortSignal\.timeout)\b/
  const broken: string[] = []
  for (const file of globSync('src/**/*.ts')) {
    if (folderOf(file) === 'lib' || file.endsWith('.test.ts')) continue
    readFileSync(file, 'utf8')
      .split('\n')
      .forEach((line, index) => {
        if (!/^\s*(?:\*|\/\/|\/\*)/.test(line) && FORBIDDEN.test(line))
          broken.push(`${file}:${index + 1}: ${line.trim()}`)
      })
  }
  assert.deepEqual(broken, [])
})

/** Every file that opens a socket to a host, and to whom. None of them reaches a target but through a Tor. */
const MAY_DIAL: Record<string, string> = {
  'src/tor/socks/dial.ts': 'a SOCKS port',
  'src/tor/transparent/dial.ts':
    "a TransPort or DNSPort, from our end of a tunnel, which has no other way out than the box's Tor",
  'src/workers/peer/dial.ts':
    "the worker port of another replica of the pool, by its IP address and with the pool's secret",
  'src/cluster/valkey-connection.ts': "the pool's store, by its IP address or socket, never a name",
  'src/jobs/shared/unit-queue.ts': "the pool's store, as the link to it is opened",
  'src/ssh/dial.ts': "SSH of an operator's box",
  'src/doctor/knock.ts': 'a proxy port of our own, on this machine',
  'src/workers/external/control-endpoint.ts': "the control port of the operator's Tor",
  'src/jobs/local-post.ts': 'an address that the operator has listed for webhooks, never a name',
  'src/traces/collector.ts': "the operator's collector of traces, by its IP address, never a name",
  'src/egress/probe.ts': 'addresses of documentation, with empty datagrams, to see that it may not',
}

it('no file dials a host except those that speak to a Tor or a box', () => {
  const DIALS =
    /\bnew Redis\(|(?<!async )\b(?:connect|createConnection)\(\s*\{[^}]*\bhost\b|\bdns\b.*from 'node:dns|from 'node:dns/
  const broken = globSync('src/**/*.ts').filter(
    (file) =>
      !file.endsWith('.test.ts') &&
      !(file in MAY_DIAL || file.startsWith('src/testnet') || /\/test-[^/]+$/.test(file)) &&
      DIALS.test(readFileSync(file, 'utf8')),
  )
  assert.deepEqual(broken, [])
})

function folderOf(path: string): string {
  return relative('src', path).split('/')[0] ?? ''
}

/** The files and packages that are loaded with a file. */
function loadedWith(start: string): { readonly files: ReadonlySet<string>; readonly packages: ReadonlySet<string> } {
  const files = new Set<string>()
  const packages = new Set<string>()
  const visit = (file: string): void => {
    if (files.has(file)) return
    files.add(file)
    const code = readFileSync(file, 'utf8').replace(/^import type [^']*'[^']*'/gm, '')
    for (const [, target = ''] of code.matchAll(/ from '([^']+)'/g)) {
      if (target.startsWith('.')) visit(join(dirname(file), target))
      else if (!target.startsWith('node:')) packages.add(target)
    }
  }
  visit(start)
  return { files, packages }
}

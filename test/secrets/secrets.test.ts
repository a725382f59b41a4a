/**
 * Every problem that the service can answer is provoked, with planted words in every field that a caller, a client of the proxy, a target
 * or an operator can fill; then everything that the service has written is searched for them. A whole process, by real ports, over a worker
 * whose SOCKS port plays what it is told to. test/leaks/secrets.test.ts has the same on real Tors.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { PROBLEMS, type ProblemCode } from '../../src/domain/problems.ts'
import { eventually } from '../asking.ts'
import { makeCertificates } from '../bad-inputs/certificates.ts'
import { Gateway } from '../leaks/gateway.ts'
import { type Asked, Asker, type Credentials } from './asker.ts'
import { filled, MAX_JOBS, PROVOKED, type Provocation } from './provoked.ts'
import { CHECK_URL, ScriptedTor } from './scripted-tor.ts'
import { type Hit, hitsIn, wordFor } from './words.ts'

/** What a caller may never read in a problem, also its own: the rest it knows, and needs. */
const NEVER_TOLD =
  /zq7planted(?:targetheader|cookie|headervalue|body|password|key(?:secret|one|two)|querykey|stickykey|webhooksecret|setcookie|responsebody|responseheader|certificate)/i

for (const { log, format, targets } of [
  { log: 'info', format: 'auto', targets: 'off' },
  { log: 'debug', format: 'json', targets: 'hashed' },
  { log: 'debug', format: 'pretty', targets: 'off' },
] as const) {
  describe(`what is written at level ${log}, as ${format}, with targets ${targets}`, { timeout: 600_000 }, () => {
    let directory: string
    let gateway: Gateway
    let admin: Asker
    let user: Asker
    let adminKey: string
    let credentials: Credentials
    const ends = new AsyncDisposableStack()
    const answers = new Map<ProblemCode, Asked>()
    /** What others than the one who asked were told. */
    const others: Record<string, string> = {}

    before(async () => {
      directory = mkdtempSync(join(tmpdir(), 'cbtor-secrets-'))
      ends.defer(() => rmSync(directory, { recursive: true, force: true }))
      const certificates = makeCertificates(directory)
      const stranger = certificateOf(wordFor('certificate'), directory)
      const tor = ends.use(await ScriptedTor.start({ ...certificates, stranger }))
      const [caFile, passwordFile] = ['ca.pem', 'password'].map((name) => join(directory, name)) as [string, string]
      writeFileSync(caFile, certificates.trusted)
      writeFileSync(passwordFile, wordFor('controlpassword'), { mode: 0o600 })
      gateway = ends.use(
        await Gateway.start({
          directory: join(directory, 'g'),
          config: {
            ...{ log, log_format: format, log_targets: targets, auth: 'on' },
            workers: [
              { kind: 'external', id: 'scripted', socks: tor.address },
              { kind: 'external', id: 'spare', socks: tor.address },
              // Nobody is at its control port, so that it fails all the time.
              {
                ...{ kind: 'external', id: 'broken', socks: tor.address },
                ...{ control: '127.0.0.1:1', password_file: passwordFile },
              },
            ],
            targets: { ca_file: caFile },
            checks: { clearnet: [CHECK_URL], onion: [] },
            ...{
              limits: { rate: 'off', concurrent: 'off' },
              politeness: { concurrent: 1_000, rate: 1_000, burst: 1_000 },
            },
            health: { check_interval: '2s' },
            jobs: { max_jobs_per_key: MAX_JOBS },
          },
        }),
      )
      adminKey = readFileSync(join(gateway.state, 'admin.key'), 'utf8').trim()
      const ports = { url: gateway.url, ...gateway.ports }
      admin = new Asker(ports, adminKey)
      const key = await newKey('user', { scopes: ['fetch', 'proxy', 'sessions'] })
      user = new Asker(ports, key)
      credentials = { user: `key-${wordFor('stickykey')}`, password: key }
      await eventually(async () => {
        const { text } = await admin.api('GET', '/api/v1/health')
        return JSON.parse(text).receiving_traffic === 2
      })
      await askAll()
    })
    after(() => ends[Symbol.asyncDispose]())

    async function newKey(name: string, more: Readonly<Record<string, unknown>>): Promise<string> {
      const { text } = await admin.api('POST', '/api/v1/keys', { name: `${wordFor('keyname')}-${name}`, ...more })
      return JSON.parse(text).key
    }

    /** Good requests by all ports, then all problems, then what ends the service. */
    async function askAll(): Promise<void> {
      const host = `good.${wordFor('host')}.test`
      await user.fetch({ ...filled(host), method: 'POST', body: wordFor('body'), sticky_key: wordFor('stickykey') })
      await user.fetch(filled(host, `/to?url=http://${host}/${wordFor('location')}`))
      for (const url of [`http://${host}/${wordFor('rawpath')}`, `http://reply-05.${host}/${wordFor('rawpath')}`])
        await user.api('GET', `/api/v1/fetch/raw?url=${encodeURIComponent(url)}&sticky_key=${wordFor('stickykey')}`)
      await user.api('POST', `/api/v1/sessions/${wordFor('stickykey')}/rotate`)
      await user.connect(`${host}:80`, credentials)
      await user.forward(`http://${host}/${wordFor('path')}`, credentials, [`Cookie: ${wordFor('cookie')}`])
      await user.socks(host, 80, credentials)
      await user.socks(host, 0, credentials, 0xf0)
      await leave(host)

      const limited = async (name: string, limits: Readonly<Record<string, number>>) =>
        user.as(await newKey(name, { scopes: ['fetch'], limits }))
      await Promise.all(
        Object.entries(PROVOKED).map(async ([code, provoke]: [string, Provocation]) => {
          if (typeof provoke !== 'function') return
          answers.set(code as ProblemCode, await provoke({ user, credentials, admin, limited }))
        }),
      )

      const other = user.as(await newKey('other', { scopes: ['fetch', 'proxy', 'sessions', 'workers:read'] }))
      for (const path of [
        'sessions',
        'health',
        'tor/workers',
        'tor/workers/scripted',
        'endpoints',
        'events?limit=1000',
      ])
        others[`GET ${path} of another caller`] = (await other.api('GET', `/api/v1/${path}`)).text
      others.metrics = (await other.api('GET', '/metrics')).text

      const kept = { ...filled(host), sticky_key: 'kept', on_loss: 'fail' }
      const { text } = await user.fetch(kept)
      const worker: string = JSON.parse(text).worker ?? JSON.parse(text).receipt.worker
      await admin.api('POST', `/api/v1/tor/workers/${worker}/tor/stop`)
      answers.set('session_worker_lost', await user.fetch(kept))
      for (const id of ['scripted', 'spare', 'broken']) await admin.api('POST', `/api/v1/tor/workers/${id}/tor/stop`)
      answers.set('no_worker', await user.fetch(filled(host)))
      others['health without workers'] = (await other.api('GET', '/api/v1/health')).text
    }

    /** A client that goes in the middle of its request. */
    async function leave(host: string): Promise<void> {
      for (const [port, head] of [
        [gateway.ports.http, `GET http://${host}/slow?${wordFor('query')} HTTP/1.1\r\nHost: ${host}\r\n`],
        [gateway.ports.http, `CONNECT silent.${wordFor('host')}.test:443 HTTP/1.1\r\n`],
      ] as const) {
        const socket = connect({ host: '127.0.0.1', port })
        await once(socket, 'connect')
        const { user: name = '', password } = credentials
        socket.write(
          `${head}Proxy-Authorization: Basic ${Buffer.from(`${name}:${password}`).toString('base64')}\r\n\r\n`,
        )
        await new Promise((resolve) => setTimeout(resolve, 200))
        socket.destroy()
      }
    }

    it('is there after every problem but those that are provoked elsewhere', () => {
      const missed = Object.keys(PROBLEMS).flatMap((code) => {
        const provoke: Provocation = PROVOKED[code as ProblemCode]
        const answer = answers.get(code as ProblemCode)
        if (typeof provoke !== 'function' && answer === undefined) return []
        return answer?.code === code ? [] : [`${code}: ${answer?.status} ${answer?.code} ${answer?.text.slice(0, 200)}`]
      })
      assert.deepEqual(missed, [])
    })

    it('has no planted word and no key: the log, the store, all files, metrics, events, and what others are told', async () => {
      const texts = { ...others, ...(await remains()) }
      assert.deepEqual(hitsIn(texts, mayBe).slice(0, 10), [])
      for (const [where, text] of Object.entries(texts)) {
        for (const secret of [adminKey, credentials.password].map((key) => key.split('_').at(-1) ?? '')) {
          const lines = text.split('\n').filter((line) => line.includes(secret) && !mayHaveKey(where, line))
          assert.deepEqual(lines, [], where)
        }
      }
    })

    it('has a line for each request to a target, with its kind and, if that is wished, a hash of its host', () => {
      const lines = gateway.said.filter((line) => line.includes('request to a target ended'))
      if (log === 'info') return assert.deepEqual(lines, [])
      assert.ok(lines.length > 50, `${lines.length} lines`)
      if (format !== 'json') return assert.match(lines[0] ?? '', / kind=\w+ key=\w+ /)
      const entries = lines.map((line) => JSON.parse(line))
      for (const kind of ['fetch', 'forward', 'tunnel', 'resolve'])
        assert.ok(entries.some((entry) => entry.kind === kind && entry.outcome === 'ok' && entry.key !== undefined))
      for (const entry of entries)
        if (entry.class !== undefined) assert.match(entry.target, targets === 'hashed' ? /^[0-9a-f]{16}$/ : /^$/)
    })

    it('tells nobody a secret of its own in a problem, nor of this machine', () => {
      for (const [code, { text, code: isProblem }] of answers) {
        if (isProblem === undefined) continue
        assert.doesNotMatch(text, NEVER_TOLD, code)
        assert.doesNotMatch(text, /\/(?:tmp|home|root|work|usr|proc)\/|\.sock|at .*\.ts:/, code)
      }
    })

    /** Everything that is left where somebody could find it, once the service has ended. */
    async function remains(): Promise<Record<string, string>> {
      const late = user.fetch(filled('slow.test', '/slow')).catch((error) => ({ text: String(error) }))
      await gateway[Symbol.asyncDispose]()
      await late
      const files = readdirSync(gateway.state, { recursive: true, withFileTypes: true })
        .map(({ parentPath, name }) => join(parentPath, name))
        .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile())
      return {
        log: gateway.said.join('\n'),
        ...Object.fromEntries(
          files.map((path) => [`file ${relative(gateway.state, path)}`, readFileSync(path, 'latin1')]),
        ),
      }
    }
  })
}

/** What is kept on purpose: the names that the operator gives keys, and what a job needs until it is done. */
function mayBe({ where, word }: Hit): boolean {
  if (word.startsWith(wordFor('keyname'))) return /^file cbtor\.db/.test(where)
  // Fields of a row stand side by side in the file.
  return /^file jobs\.db/.test(where) && MAY_BE_IN_JOBS.some((each) => word.toLowerCase().startsWith(each))
}
const MAY_BE_IN_JOBS = [
  ...['host', 'query', 'fragment', 'targetheader', 'cookie', 'headername', 'headervalue', 'jobpath', 'jobname'],
  'idempotencykey',
  ...['jobstickykey', 'webhookpath', 'webhooksecret', 'responseheader', 'setcookie', 'responsebody', 'slow'],
].map(wordFor)

/** The file that commands on this machine find it in, and the one line that shows it at the first start. */
function mayHaveKey(where: string, line: string): boolean {
  return where === 'file admin.key' || (where === 'log' && line.startsWith('cbtor: the admin key, shown this once'))
}

/** Signed by itself, for a name that stands in it. */
function certificateOf(name: string, folder: string): { key: string; cert: string } {
  const [key, cert] = ['stranger-key.pem', 'stranger.pem'].map((file) => join(folder, file)) as [string, string]
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-subj', `/CN=${name}`, '-keyout', key, '-out', cert],
    ],
    { stdio: 'pipe' },
  )
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
}

import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { runCli } from '../../src/cli/cli.ts'
import { EXIT } from '../../src/cli/exit-with.ts'
import type { Finding } from '../../src/doctor/finding.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { TorControl } from '../../src/tor/control/client.ts'
import { torDirectory } from '../../src/tor/tor-directory.ts'
import { createLab, type Lab } from './lab.ts'

const never = new AbortController().signal

let lab: Lab
let file: string

before(async () => {
  lab = await createLab()
  file = join(lab.network.directory, 'cbtor.yaml')
  const { state, auth, workers, tor, targets, tls, checks } = lab.config
  const { url, proxy } = lab.service
  const at = (text: string | undefined) => new URL(text ?? '').host
  const ports = { listen: at(url), proxy: { http: at(proxy.http), socks: at(proxy.socks) } }
  writeFileSync(file, JSON.stringify({ state, auth, workers, tor, targets, tls, checks, ...ports }))
})

after(async () => {
  await lab?.[Symbol.asyncDispose]()
})

describe('cbtor doctor', { timeout: 600_000 }, () => {
  it('finds nothing wrong where all is well, and has seen it on every Tor', async () => {
    const { code, findings } = await doctor()
    // Whether there is an egress lock is up to the machine.
    assert.deepEqual(
      findings.filter(({ name, verdict }) => verdict !== 'ok' && verdict !== 'warning' && name !== 'egress lock'),
      [],
    )
    assert.equal(code, EXIT.ok)
    for (const id of ['tor01', 'tor02', 'tor03', 'tor04'])
      for (const what of ['tor', 'isolation', 'listeners', 'settings', 'guards', 'countries', 'clock'])
        assert.equal(verdictOf(findings, `${id}: ${what}`), 'ok', `${id}: ${what}`)
    for (const what of [
      'node',
      'tor',
      'configuration',
      'DNS',
      'state directory',
      'service',
      'listeners',
      'proxy.http',
      'proxy.socks',
    ])
      assert.equal(verdictOf(findings, what), 'ok', what)
  })

  it('shows people a table, and then what to do', async () => {
    chmodSync(lab.config.state, 0o755)
    try {
      const { code, out, err } = await run(['doctor', '--config', file])
      assert.equal(code, EXIT.failed)
      assert.match(out, /^ +checked +seen$/m)
      assert.match(out, /^ok +tor01: isolation +a live stream is kept apart/m)
      assert.match(out, /^WRONG +state directory +\S+ has mode 755/m)
      assert.match(out, /^To mend it:\n(?: {2}.*\n)* {2}state directory: chmod 700 /m)
      assert.match(err, /^cbtor: One thing is wrong: state directory$/m)
    } finally {
      chmodSync(lab.config.state, 0o700)
    }
  })

  it('sees what was changed behind the back of the service', async () => {
    const { controlSocket, controlCookie, socksSocket } = torDirectory(join(lab.config.state, 'workers', 'tor02'))
    const credentials = { method: 'cookie-file', path: controlCookie } as const
    await using control = await TorControl.open(controlSocket, credentials, { logger: silentLogger }, never)
    await control.setConf([['SafeLogging', '0']], never)
    // A port that stays open keeps its flags, so this one is closed first.
    await control.setConf([['SocksPort', '127.0.0.1:auto']], never)
    await control.setConf(
      [
        ['SocksPort', `unix:${socksSocket} NoIsolateSOCKSAuth`],
        ['SocksPort', '127.0.0.1:auto'],
      ],
      never,
    )
    const { code, findings } = await doctor()
    assert.equal(code, EXIT.failed)
    assert.equal(verdictOf(findings, 'tor02: settings'), 'wrong')
    assert.equal(verdictOf(findings, 'tor02: isolation'), 'wrong')
    assert.match(textOf(findings, 'tor02: listeners'), /more than the configuration says: socks 127\.0\.0\.1:\d+/)
    assert.equal(verdictOf(findings, 'tor01: isolation'), 'ok')
  })

  it('says what it could not check when the service is down, and that is no fault', async () => {
    await lab.service[Symbol.asyncDispose]()
    const { code, findings } = await doctor()
    assert.equal(code, EXIT.ok)
    assert.equal(verdictOf(findings, 'service'), 'warning')
    assert.equal(verdictOf(findings, 'listeners'), 'unchecked')
    assert.equal(verdictOf(findings, 'tor01: tor'), 'unchecked')
    assert.equal(verdictOf(findings, 'state directory'), 'ok')
  })
})

async function doctor(): Promise<{ code: number; findings: readonly Finding[] }> {
  const { code, out } = await run(['doctor', '--json', '--config', file])
  const { right, findings } = JSON.parse(out) as { right: boolean; findings: readonly Finding[] }
  assert.equal(right, code === EXIT.ok)
  return { code, findings }
}

async function run(argv: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const written = { out: '', err: '' }
  const into = (name: 'out' | 'err') => ({
    write: (text: string) => {
      written[name] += text
    },
  })
  const code = await runCli(argv, {
    env: {},
    out: into('out'),
    err: into('err'),
    clock: systemClock,
    signal: never,
    createService: unused,
    createTestNetwork: unused,
    boxes: { whyNot: unused, runInHost: unused, enter: unused, createNetwork: unused },
  })
  return { code, ...written }
}

async function unused(): Promise<never> {
  throw new Error('The doctor needs none')
}

function verdictOf(findings: readonly Finding[], name: string): string | undefined {
  return findings.find((finding) => finding.name === name)?.verdict
}

function textOf(findings: readonly Finding[], name: string): string {
  return findings.find((finding) => finding.name === name)?.text ?? ''
}

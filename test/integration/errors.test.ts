import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type ApiClient, createApiClient } from '../../src/client/client.ts'
import { parseConfig } from '../../src/config/read-config.ts'
import { PROBLEMS, type ProblemCode } from '../../src/domain/problems.ts'
import { createService, type Service } from '../../src/service.ts'
import { base32 } from '../../src/testnet/inside/base32.ts'
import { TorNetwork } from '../../src/testnet/network.ts'
import { TorControl } from '../../src/tor/control/client.ts'
import { eventually, problemOf } from '../asking.ts'
import { portOf, ReplyingProxy } from './replying-proxy.ts'
import { SomebodysTor } from './somebodys-tor.ts'

const never = new AbortController().signal
const FLAGS = ['IsolateSOCKSAuth', 'KeepAliveIsolateSOCKSAuth', 'ExtendedErrors', 'IPv6Traffic'] as const
/** Workers whose SOCKS port answers what a port asks for. */
const SCRIPTED = ['scripted1', 'scripted2', 'scripted3'] as const
const SLOW = 2
/** Less than the 10 s after which Tor tries another circuit: then it would say something else. */
const IMPATIENT: [string, string][] = [['SocksTimeout', '6']]
const EXITS = ['exit1', 'exit2', 'exit3', 'exit4'] as const

type FetchOrder = Parameters<ApiClient['fetch']>[0]

/** A row of what each reply of Tor means to a caller: table E.1 of the design's facts. */
interface Row {
  readonly reply: number
  readonly status: number
  readonly code: ProblemCode
  /** On how many workers a GET is tried: all faults of the worker or the circuit on three, doubtful ones on one other. */
  readonly tries: 1 | 2 | 3
}

const TABLE: readonly Row[] = [
  { reply: 0x01, status: 502, code: 'tor_failure', tries: 2 },
  { reply: 0x02, status: 502, code: 'exit_policy', tries: 3 },
  { reply: 0x03, status: 503, code: 'worker_network', tries: 3 },
  { reply: 0x04, status: 502, code: 'resolve_failed', tries: 2 },
  { reply: 0x05, status: 502, code: 'connection_refused', tries: 2 },
  { reply: 0x06, status: 504, code: 'tor_timeout', tries: 3 },
  { reply: 0x07, status: 500, code: 'internal', tries: 1 },
  { reply: 0x08, status: 400, code: 'host_invalid', tries: 1 },
  { reply: 0xf0, status: 502, code: 'onion_not_found', tries: 2 },
  { reply: 0xf1, status: 502, code: 'onion_descriptor_invalid', tries: 2 },
  { reply: 0xf2, status: 502, code: 'onion_intro_failed', tries: 3 },
  { reply: 0xf3, status: 504, code: 'onion_rendezvous_failed', tries: 3 },
  { reply: 0xf4, status: 403, code: 'onion_auth_required', tries: 1 },
  { reply: 0xf5, status: 403, code: 'onion_auth_rejected', tries: 1 },
  { reply: 0xf6, status: 400, code: 'onion_address_invalid', tries: 1 },
  { reply: 0xf7, status: 504, code: 'onion_intro_timeout', tries: 3 },
  { reply: 0xf8, status: 502, code: 'tor_extended', tries: 2 },
]

/** What the reply of Tor, made for real, was answered with. */
const seen: { reply: string; made: string; status: number; code: string }[] = []

describe('what is told of each failure of Tor', { timeout: 600_000 }, () => {
  let network: TorNetwork
  let tor: SomebodysTor
  /** Of their own, for they are of no use in the end: one is cut off from the network, one is to use no exit. */
  let slow: SomebodysTor
  let lame: SomebodysTor
  let control: TorControl
  let service: Service
  let api: ApiClient
  const parts = new AsyncDisposableStack()

  before(async () => {
    network = parts.use(await TorNetwork.create())
    tor = parts.use(await SomebodysTor.start({ network, client: 1, flags: FLAGS }))
    slow = parts.use(await SomebodysTor.start({ network, client: SLOW, flags: FLAGS }))
    lame = parts.use(await SomebodysTor.start({ network, client: 3, flags: FLAGS }))
    const external = (id: string, { directory }: SomebodysTor) => ({
      ...{ kind: 'external', id, socks: `unix:${directory.socksSocket}` },
      ...{ control: `unix:${directory.controlSocket}`, cookie_file: directory.controlCookie },
    })
    const scripted = SCRIPTED.map((id) => ({ id, path: join(network.directory, `${id}.sock`) }))
    for (const { path } of scripted) parts.use(await ReplyingProxy.listen(path, tor.directory.socksSocket))
    const config = parseConfig(
      {
        listen: '127.0.0.1:0',
        state: join(network.directory, 'errors'),
        ...{ auth: 'off', log: 'silent', limits: { rate: 'off', concurrent: 'off' }, politeness: 'off' },
        workers: [
          external('real', tor),
          external('slow', slow),
          external('lame', lame),
          ...scripted.map(({ id, path }) => ({ kind: 'external', id, socks: `unix:${path}` })),
        ],
        exits: { min_exits: 1, min_families: 1 },
        targets: { allow_reserved: ['203.0.113.0/24', '198.51.100.0/24', '10.0.0.0/8', '192.0.2.0/24'] },
        checks: { clearnet: [`${network.urls.check}/api/ip`] },
      },
      {},
    )
    service = parts.use(await createService(config, {}, never))
    api = createApiClient({ baseUrl: service.url })
    await service.ready(AbortSignal.timeout(60_000))
    await eventually(async () => (await api.workers()).workers.every(({ receives_traffic }) => receives_traffic))
    control = parts.use(await controlOf(tor))
  })

  after(async () => {
    await parts.disposeAsync()
    for (const { reply, made, status, code } of seen) {
      // biome-ignore lint/suspicious/noConsole: the table is what this is run for
      console.log(`${reply.padEnd(24)}${made.padEnd(14)}${status} ${code}`)
    }
  })

  const problem = (order: FetchOrder) => problemOf(api.fetch({ isolation: 'request', timeout_ms: 60_000, ...order }))

  /** Real Tor answers a request so that it fails. */
  async function fails(reply: string, code: ProblemCode, url: string, more: Partial<FetchOrder> = {}): Promise<void> {
    const order = { url, worker: 'real', ...more }
    isTold(reply, code, order, await problem(order))
  }

  function isTold(
    reply: string,
    code: ProblemCode,
    order: FetchOrder,
    told: Awaited<ReturnType<typeof problem>>,
  ): void {
    const { status, fault, retryable } = PROBLEMS[code]
    assert.deepEqual([told.code, told.detail], [code, told.detail])
    assert.deepEqual([told.status, told.fault, told.retryable], [status, fault, retryable])
    assert.deepEqual(
      told.attempts?.map(({ worker, outcome }) => [worker, outcome]),
      [[order.worker, code]],
    )
    assert.deepEqual([told.receipt?.worker, told.receipt?.route], [order.worker, null])
    seen.push({ reply, made: 'by Tor', status: told.status, code })
  }

  describe('made for real', { concurrency: false }, () => {
    it('00: nothing', async () => {
      assert.equal((await api.fetch({ url: `${network.urls.www}/ip`, worker: 'real' })).status, 200)
      seen.push({ reply: '00', made: 'by Tor', status: 200, code: 'ok' })
    })

    it('01 for a private address, told by the reason of the stream', () =>
      fails('01 PRIVATE_ADDR', 'target_forbidden', 'http://10.1.2.3/'))

    it('04 for a name that is not there', () => fails('04 RESOLVEFAILED', 'resolve_failed', network.urls.nowhere))

    it('04 for an address to which there is no way, told by the reason of the stream', () =>
      fails('04 NOROUTE', 'no_route', 'http://192.0.2.77/'))

    it('05 for a port on which an onion service has nobody listen', () =>
      fails('05', 'connection_refused', `${network.urls.onion}:81/`))

    it('no reply at all where no exit can be used, for the stream is closed before Tor storms', () =>
      fails('(storm)', 'no_usable_exit', 'http://[2600::1]/'))

    it('F0 for an onion service that never existed', () =>
      fails('F0', 'onion_not_found', `http://${onionOf(randomKey())}/`))

    it('F4 and F5 for an onion service that asks for a key, and one that is wrong', async () => {
      await fails('F4', 'onion_auth_required', network.urls.privateOnion)
      const address = new URL(network.urls.privateOnion).hostname.replace('.onion', '')
      await control.addOnionClientAuth({ address, privateKey: Buffer.alloc(32, 7).toString('base64') }, never)
      await fails('F5', 'onion_auth_rejected', network.urls.privateOnion)
    })

    it('F6 for an address whose checksum is right and whose key is none', () =>
      fails('F6', 'onion_address_invalid', `http://${onionOf(Buffer.from([1, ...Array(31).fill(0)]))}/`))

    it('F2 for an onion service that is dead', async () => {
      assert.equal((await api.fetch({ url: `${network.urls.onion}/ip`, worker: 'real' })).status, 200)
      await network.kill('onion1')
      // It takes Tor a while to have asked all introduction points; from then on it knows.
      const order = { url: network.urls.onion, worker: 'real', timeout_ms: 10_000 }
      await eventually(async () => (await problem(order)).code === 'onion_intro_failed', 90_000)
      await fails('F2', 'onion_intro_failed', network.urls.onion)
    })

    it('02 when every exit that is tried refuses the port, told by the reason of the stream', async () => {
      for (const exit of EXITS) await network.setExitRefuses(exit, [8081])
      await fails('02', 'exit_policy', 'http://www.cbtor.test:8081/', { exclude_countries: ['aq'] })
      for (const exit of EXITS) await network.setExitRefuses(exit, [])
    })

    it('06 where no exit can be used, by the torrc', async () => {
      await using control = await controlOf(lame)
      await control.setConf([...IMPATIENT, ['ExitNodes', '{aq}']], never)
      await closeCircuits(control)
      await fails('06 NOT_ENOUGH_DIR_INFO', 'no_usable_exit', `${network.urls.www}/ip`, { worker: 'lame' })
    })

    it('06 when Tor can build no circuit', async () => {
      await using control = await controlOf(slow)
      await control.setConf(IMPATIENT, never)
      const order = { url: `${network.urls.www}/ip`, worker: 'slow' }
      // Where it has given up its guard before the stream, which takes it about as long, it says 01 instead.
      for (let n = 1; ; n++) {
        await network.blackhole(SLOW, true)
        await closeCircuits(control)
        const told = await problem(order)
        if (told.code !== 'tor_failure' || n === 4) return isTold('06', 'tor_timeout', order, told)
        await network.blackhole(SLOW, false)
        await eventually(async () => (await api.fetch(order)).status === 200)
      }
    })
  })

  describe('made by a script, through real workers', { concurrency: false }, () => {
    before(async () => {
      for (const worker of ['real', 'slow', 'lame']) await api.drain(worker)
    })

    for (const { reply, status, code, tries } of TABLE) {
      const hex = reply.toString(16).toUpperCase().padStart(2, '0')
      it(`${hex} is ${status} ${code}, ${tries === 1 ? 'at once' : `after ${tries} workers`}`, async () => {
        // Each brings a fifth of a retry.
        for (let n = 0; n < 15; n++) await api.fetch({ url: `${network.urls.www}/ip` })
        const told = await problem({ url: `http://www.cbtor.test:${portOf(reply)}/` })
        assert.deepEqual([told.status, told.code], [status, code])
        const { fault, retryable } = PROBLEMS[code]
        assert.deepEqual([told.fault, told.retryable], [fault, retryable])
        assert.deepEqual(
          told.attempts?.map(({ outcome }) => outcome),
          Array(tries).fill(code),
        )
        assert.equal(new Set(told.attempts?.map(({ worker }) => worker)).size, tries)
        assert.equal(told.receipt?.worker, told.attempts?.at(-1)?.worker)
        if (reply > 0xf7) assert.match(told.detail, new RegExp(`0x${hex}`))
        seen.push({ reply: hex, made: 'by a script', status: told.status, code: told.code })
      })
    }
  })
})

function controlOf({ directory, credentials }: SomebodysTor): Promise<TorControl> {
  return TorControl.open(directory.controlSocket, credentials, {}, never)
}

/** So that a stream has to wait for a new one. */
async function closeCircuits(control: TorControl): Promise<void> {
  for (const { id } of await control.circuits(never)) await control.closeCircuit(id, {}, never).catch(() => {})
}

function randomKey(): Buffer {
  const { publicKey } = generateKeyPairSync('ed25519')
  return publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)
}

/** rend-spec-v3, section 6: base32(key | checksum | version). */
function onionOf(key: Buffer): string {
  const version = Buffer.from([3])
  const checksum = createHash('sha3-256').update('.onion checksum').update(key).update(version).digest()
  return `${base32(Buffer.concat([key, checksum.subarray(0, 2), version])).toLowerCase()}.onion`
}

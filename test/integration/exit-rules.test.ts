import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { TorControl } from '../../src/tor/control/client.ts'
import { dialThroughSocks } from '../../src/tor/socks/dial.ts'
import { torDirectory } from '../../src/tor/tor-directory.ts'
import type { ExitMinimum } from '../../src/workers/exits/exit-choice.ts'
import { LocalDriver } from '../../src/workers/local/local-driver.ts'
import { eventually, problemOf } from '../asking.ts'
import { exitsByCountry, hasCode, identity } from '../contracts/driver-subject.ts'
import { createLab, type Lab } from './lab.ts'

const never = new AbortController().signal
const WORKERS = ['tor01', 'tor02', 'tor03', 'tor04']
/** What one exit that does not work costs: circuits that fail, and what Tor launches before we have hung up. */
const MAX_CIRCUITS = 6

let lab: Lab
/** The address of each country's exit; the same for all on loopback, where a site cannot tell exits apart. */
let addressIn: ReadonlyMap<string, string>
let exitIn: Readonly<Record<string, string>>

before(async () => {
  lab = await createLab()
  exitIn = exitsByCountry(lab.network.processes())
  addressIn = new Map(
    lab.network
      .processes()
      .map(({ country, address }) => [country, lab.network.isolation === 'namespace' ? address : '127.0.0.1']),
  )
})

after(async () => {
  await lab?.[Symbol.asyncDispose]()
})

/** A page whose request can be found in the target's log. */
function page(): { readonly url: string; readonly path: string } {
  const path = `/anything/${randomBytes(8).toString('hex')}`
  return { url: `${lab.network.urls.www}${path}`, path }
}

/** The addresses from which the target was asked for the page. */
async function seenFrom(path: string): Promise<readonly string[]> {
  const requests = await lab.network.requests()
  return requests.filter((request) => request.path === path).map(({ sourceAddress }) => sourceAddress)
}

async function controlOf(directory: string): Promise<TorControl> {
  const { controlSocket, controlCookie } = torDirectory(directory)
  return await TorControl.open(controlSocket, { method: 'cookie-file', path: controlCookie }, {}, never)
}

/** A driver of its own on the same network, and the circuits that its Tor launches for each user. */
async function createDriver(name: string, exits?: ExitMinimum) {
  const { network } = lab
  await using stack = new AsyncDisposableStack()
  const directory = join(network.directory, name)
  const driver = stack.use(
    new LocalDriver({
      ...{ id: name, directory, command: network.clientCommand(), torrc: network.clientTorrc() },
      rejectInternalAddresses: network.isolation === 'namespace',
      ...(exits && { exits }),
      ...{ clock: systemClock, logger: silentLogger },
    }),
  )
  await driver.start(never)
  const control = stack.use(await controlOf(directory))
  const launched: string[] = []
  const streams: string[] = []
  const circuitsOf = new Map<string, Set<string>>()
  control.onEvent((event) => {
    if (event.type === 'CIRC' && event.status === 'LAUNCHED') launched.push(event.id)
    if (event.type === 'STREAM' && event.status === 'NEW') streams.push(event.socksUsername ?? '')
    if (event.type !== 'CIRC' || event.socksUsername === undefined) return
    circuitsOf.set(event.socksUsername, (circuitsOf.get(event.socksUsername) ?? new Set()).add(event.id))
  })
  await control.subscribe(['CIRC', 'STREAM'], never)
  const owned = stack.move()
  return {
    ...{ driver, control, launched, streams, directory },
    circuitsFor: (token: string) => circuitsOf.get(token)?.size ?? 0,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

function targetOf(url: string) {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port || 80) }
}

describe('exit rules of the API', { timeout: 600_000 }, () => {
  it('has every worker leave by the country that was asked for, as the target sees it', async () => {
    for (const worker of WORKERS) {
      for (const [country, name] of Object.entries(exitIn)) {
        const { url, path } = page()
        const { exit } = (await lab.api.fetch({ url, country, worker })).receipt
        assert.deepEqual([exit?.nickname, exit?.country], [name, country])
        assert.deepEqual(await seenFrom(path), [addressIn.get(country)])
      }
    }
  })

  it('leaves by no country that was excluded', async () => {
    const request = { isolation: 'request' as const, exclude_countries: ['de', 'us'] }
    const answers = await Promise.all(Array.from({ length: 16 }, () => lab.api.fetch({ url: page().url, ...request })))
    const countries = new Set(answers.map(({ receipt }) => receipt.exit?.country))
    assert.deepEqual([...countries].sort(), ['nl', 'se'])
  })

  it('keeps two sessions on two exits', async () => {
    const first = await lab.api.fetch({ url: page().url, sticky_key: 'first' })
    const others = await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        lab.api.fetch({ url: page().url, sticky_key: `other-${n}`, distinct_from: 'first' }),
      ),
    )
    for (const { exit } of others.map(({ receipt }) => receipt)) {
      assert.ok(exit)
      assert.notEqual(exit.fingerprint, first.receipt.exit?.fingerprint)
    }
    const country = first.receipt.exit?.country ?? ''
    const { code } = await problemOf(lab.api.fetch({ url: page().url, country, distinct_from: 'first' }))
    assert.equal(code, 'no_exit_for_country_port')
    const unknown = await problemOf(lab.api.fetch({ url: page().url, distinct_from: 'nobody' }))
    assert.equal(unknown.code, 'session_not_found')
  })

  it('keeps the exit of a session when its circuit is gone', async () => {
    const request = { sticky_key: 'kept', exclude_countries: ['de'], worker: 'tor01' }
    await using control = await controlOf(join(lab.config.state, 'workers', 'tor01'))
    const first = await lab.api.fetch({ url: page().url, ...request })
    for (let n = 0; n < 6; n++) {
      for (const { id } of await control.circuits(never)) await control.closeCircuit(id, {}, never).catch(() => {})
      const { exit, session_moved } = (await lab.api.fetch({ url: page().url, ...request })).receipt
      assert.deepEqual([exit, session_moved], [first.receipt.exit, false])
    }
  })

  it('says what cannot be had: too few exits, and onion services', async () => {
    const cases = [
      [{ url: page().url, country: 'fr' }, 'no_exit_for_country_port'],
      [{ url: page().url, exclude_countries: Object.keys(exitIn) }, 'no_exit_for_country_port'],
      [{ url: lab.network.urls.onion, country: 'de' }, 'exit_rule_unsupported'],
      [
        { url: `${lab.network.urls.www}/redirect-to?url=${lab.network.urls.onion}/`, country: 'de' },
        'exit_rule_unsupported',
      ],
    ] as const
    for (const [request, expected] of cases) {
      const { code, status } = await problemOf(lab.api.fetch(request))
      assert.deepEqual([code, status], [expected, 422], JSON.stringify(request))
    }
  })

  it('never mixes thirty identities of four countries that come at once', async () => {
    const countries = Object.keys(exitIn)
    const requests = Array.from({ length: 30 }, (_, n) => ({
      sticky_key: `crowd-${n}`,
      country: countries[n % countries.length] ?? 'de',
      pages: Array.from({ length: 3 }, page),
    }))
    await Promise.all(
      requests.flatMap(({ pages, ...request }) => pages.map(({ url }) => lab.api.fetch({ url, ...request }))),
    )
    for (const { country, pages } of requests)
      for (const { path } of pages) assert.deepEqual(await seenFrom(path), [addressIn.get(country)])
  })

  it('leaves no mapping behind in any Tor', async () => {
    const key = 'address-mappings/control'
    for (const worker of WORKERS) {
      await using control = await controlOf(join(lab.config.state, 'workers', worker))
      await eventually(async () => (await control.getInfo([key], never))[key] === '', 10_000)
    }
  })
})

describe('a Tor that is told its exits', { timeout: 600_000 }, () => {
  it('makes no stream and no circuit where exits are fewer than the default asks for', async () => {
    await using parts = await createDriver('few')
    const { driver, streams, circuitsFor } = parts
    const target = targetOf(lab.network.urls.www)
    for (const demand of [{ country: 'de' }, { excludeCountries: ['de'] }, { country: 'aq' }]) {
      const connecting = driver.connect(target, identity('few', demand), never)
      await assert.rejects(connecting, hasCode('no_exit_for_country_port'))
    }
    await assert.rejects(
      driver.connect(targetOf(lab.network.urls.onion), identity('few', { country: 'de' }), never),
      hasCode('exit_rule_unsupported'),
    )
    assert.deepEqual([streams, circuitsFor('contract-few')], [[], 0])
  })

  it('builds few circuits to an exit that refuses the port, or is gone, and takes another where one will do', async () => {
    await using parts = await createDriver('faults', { exits: 1, families: 1 })
    const { driver, circuitsFor } = parts
    const target = targetOf(lab.network.urls.www)
    const exits = { de: exitIn.de ?? '', se: exitIn.se ?? '' }

    await lab.network.setExitRefuses(exits.de, [target.port])
    const refused = driver.connect(target, identity('refused', { country: 'de' }), never)
    await assert.rejects(refused, hasCode('exit_policy'))
    const either = await driver.connect(target, identity('either', { excludeCountries: ['nl', 'us'] }), never)
    assert.equal((await either.exit(0))?.country, 'se')
    either.socket.destroy()
    await lab.network.setExitRefuses(exits.de, [])

    await lab.network.kill(exits.se)
    const gone = driver.connect(target, identity('gone', { country: 'se' }), AbortSignal.timeout(30_000))
    await assert.rejects(gone, hasCode('tor_failure'))
    const other = await driver.connect(target, identity('other', { excludeCountries: ['de', 'us'] }), never)
    assert.equal((await other.exit(0))?.country, 'nl')
    other.socket.destroy()
    await lab.network.restart(exits.se)

    for (const name of ['refused', 'either', 'gone', 'other']) {
      const circuits = circuitsFor(`contract-${name}`)
      assert.ok(circuits <= MAX_CIRCUITS, `${circuits} circuits for ${name}`)
    }
  })

  it('shows early data to no exit when it has forgotten the mapping', async () => {
    await using parts = await createDriver('early', { exits: 1, families: 1 })
    const { driver, directory, circuitsFor, launched } = parts
    const target = targetOf(lab.network.urls.www)
    const { path } = page()
    const request = Buffer.from(`GET ${path} HTTP/1.0\r\nHost: ${target.host}\r\n\r\n`)
    const before = launched.length
    for (let n = 0; n < 5; n++) {
      const name = `${randomBytes(16).toString('hex')}.onion`
      const dial = dialThroughSocks(
        {
          proxy: { path: torDirectory(directory).socksSocket },
          auth: { username: 'forgotten', password: 'cbtor' },
          target: { host: name, port: target.port },
          earlyData: request,
        },
        never,
      )
      await assert.rejects(dial, /onion service invalid address|general SOCKS server failure/)
      assert.ok((await lab.network.dnsQueries()).every((query) => !query.name.includes(name.slice(0, 32))))
    }
    assert.deepEqual([await seenFrom(path), circuitsFor('forgotten')], [[], 0])
    assert.ok(launched.length - before < 5, 'Tor has launched circuits of its own at most')

    // The same bytes behind a name that is mapped arrive, by the exit that was chosen.
    const early = { earlyData: request }
    const { socket } = await driver.connect(target, identity('early', { country: 'us' }), never, early)
    assert.match(await text(socket), /^HTTP\/1\.[01] 200 /)
    assert.deepEqual(await seenFrom(path), [addressIn.get('us')])
  })
})

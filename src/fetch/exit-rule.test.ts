import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ExitRule } from '../domain/identity.ts'
import { createFetchLab } from './test-fetch-lab.ts'
import { EXIT, own } from './test-lab.ts'

/** A valid address, by its checksum. */
const SERVICE = 'http://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion/'

function lastOf<T>(items: readonly T[]): T | undefined {
  return items.at(-1)
}

describe('a fetch under an exit rule', { timeout: 30_000 }, () => {
  it('demands of the worker what the rule says', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    const demandOf = async (exitRule: ExitRule) => {
      await lab.fetch('http://a.test/', { exitRule })
      return lastOf(lab.workers.dials)?.demand
    }
    assert.deepEqual(await demandOf({ country: 'de' }), { country: 'de', excludeCountries: [], notBy: [] })
    assert.deepEqual(await demandOf({ excludeCountries: ['us', 'gb'] }), { excludeCountries: ['us', 'gb'], notBy: [] })
    await lab.fetch('http://a.test/')
    assert.equal(lastOf(lab.workers.dials)?.demand, undefined)
    assert.equal(new Set(lab.workers.dials.map(({ token }) => token)).size, 3)
  })

  it('looks up the exit of the session that it is to be distinct from, for each request anew', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    const worker = { stickyKey: 'alice' }
    const exitRule = { distinctFrom: 'alice' }
    await lab.fetch('http://a.test/', worker)
    const fetchAsBob = () => lab.fetch('http://a.test/', { stickyKey: 'bob', exitRule })
    await fetchAsBob()
    const bob = lastOf(lab.workers.dials)
    assert.deepEqual(bob?.demand?.notBy, [EXIT.fingerprint])
    // While the other session stays where it is, so does the connection; when it moves, this may be its exit now.
    assert.equal((await fetchAsBob()).connectionReused, true)
    lab.workers.askExit = async () => ({ ...EXIT, fingerprint: 'B'.repeat(40) })
    lab.fetcher.dropConnections(lab.workers.dials[0]?.worker ?? '')
    await lab.fetch('http://a.test/', worker)
    assert.equal((await fetchAsBob()).connectionReused, false)
    assert.deepEqual(lastOf(lab.workers.dials)?.demand?.notBy, [EXIT.fingerprint, 'B'.repeat(40)].sort())
    assert.equal(lastOf(lab.workers.dials)?.token, bob?.token)
  })

  it('is refused when it is to be distinct from nobody, from itself or from who has no exit yet, and opens no session', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    const bob = { stickyKey: 'bob', exitRule: { distinctFrom: 'alice' } }
    await lab.fails('http://a.test/', 'session_not_found', bob)
    await lab.fails('http://a.test/', 'exit_rule_unsupported', { ...bob, stickyKey: 'alice' })
    lab.workers.askExit = async () => undefined
    await lab.fetch('http://a.test/', { stickyKey: 'alice' })
    const error = await lab.fails('http://a.test/', 'exit_rule_unsupported', bob)
    assert.match(error.message, /is not known yet/)
    assert.deepEqual(
      lab.fetcher.sessions.list().map(({ key }) => key),
      ['alice'],
    )
    assert.equal(lab.workers.dials.length, 1)
  })

  it('is refused when nobody told by which exit the other session went last, whatever it had before', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    const bob = { stickyKey: 'bob', exitRule: { distinctFrom: 'alice' } }
    const alice = async (exit: typeof EXIT | undefined) => {
      lab.workers.askExit = async () => exit
      lab.fetcher.dropConnections(lab.workers.dials[0]?.worker ?? '')
      await lab.fetch('http://a.test/', { stickyKey: 'alice' })
    }
    await alice(EXIT)
    await lab.fetch('http://a.test/', bob)
    await alice(undefined)
    await lab.fails('http://a.test/', 'exit_rule_unsupported', bob)
    assert.equal(lab.fetcher.sessions.get(own('alice')).exit, undefined)
    await alice(EXIT)
    await lab.fetch('http://a.test/', bob)
  })

  it('is refused where no exit can be chosen: for an onion service and an IPv6 address, by a redirect as well', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (request, response) =>
      response.writeHead(302, { location: request.url?.slice(1) }).end(),
    )
    const rule = { exitRule: { country: 'de' } }
    for (const url of [SERVICE, 'http://[2606:4700::6810:84e5]/']) await lab.fails(url, 'exit_rule_unsupported', rule)
    assert.equal(lab.workers.dials.length, 0)
    for (const url of [SERVICE, 'http://[2606:4700::6810:84e5]/']) {
      const error = await lab.fails(`http://a.test/${url}`, 'exit_rule_unsupported', rule)
      assert.equal(error.redirects.length, 0)
      assert.equal(lastOf(lab.workers.dials)?.target.host, 'a.test')
    }
  })

  it('asks one other worker when one knows too few exits, and keeps to that answer', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    const rule = { exitRule: { country: 'de' }, isolation: 'request' as const }
    lab.workers.faults.set('w1', 'no_exit_for_country_port')
    assert.equal((await lab.fetch('http://a.test/', rule)).worker, 'w2')
    lab.workers.rewind()
    lab.workers.faults.set('w2', 'no_exit_for_country_port')
    const error = await lab.fails('http://a.test/', 'no_exit_for_country_port', rule)
    assert.deepEqual(
      error.attempts.map(({ worker }) => worker),
      ['w1', 'w2'],
    )
    lab.workers.rewind()
    for (const worker of ['w2', 'w3']) lab.workers.faults.set(worker, 'tor_failure')
    await lab.fails('http://a.test/', 'no_exit_for_country_port', rule)
  })

  it('goes where exits can be chosen, and takes its session there', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    for (const worker of ['w1', 'w2']) lab.workers.faults.set(worker, 'exit_rule_unsupported')
    const session = { stickyKey: 'alice', exitRule: { country: 'de' } }
    const answer = await lab.fetch('http://a.test/', session)
    assert.equal(answer.worker, 'w3')
    assert.equal(answer.sessionMoved, undefined)
    assert.equal(lab.fetcher.sessions.get(own('alice')).worker, 'w3')
  })

  it('does not call it a move when the caller asks for another rule', async () => {
    await using lab = await createFetchLab()
    await lab.serve('a.test:80', (_, response) => response.end('ok'))
    const exits = ['A', 'B', 'C'].map((digit) => ({ ...EXIT, fingerprint: digit.repeat(40) }))
    lab.workers.askExit = async () => exits[0]
    const session = { stickyKey: 'alice' }
    const german = { ...session, exitRule: { country: 'de' } }
    await lab.fetch('http://a.test/', session)
    exits.shift()
    assert.equal((await lab.fetch('http://a.test/', german)).sessionMoved, undefined)
    exits.shift()
    lab.fetcher.dropConnections('w1')
    assert.equal((await lab.fetch('http://a.test/', german)).sessionMoved, true)
  })
})

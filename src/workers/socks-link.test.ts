import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { codeOf } from '../domain/errors.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { ScriptedProxy } from '../tor/socks/scripted-proxy.ts'
import { NOTHING_KNOWN } from './driver.ts'
import { SocksLink } from './socks-link.ts'

const never = new AbortController().signal
const target = { host: 'a.io', port: 80 }
const identity = { token: 'alice', isOneOff: false, keepsExit: false }

/** Greeting; `alice` or `pulse` with the password `cbtor`; CONNECT to a.io:80. */
const GREETED = ['05 01 02', '>05 02']
const ALICE = ['01 05 61 6c 69 63 65 05 63 62 74 6f 72', '>01 00']
const PULSE = ['01 05 70 75 6c 73 65 05 63 62 74 6f 72', '>01 00']
const CONNECT = '05 01 00 03 04 61 2e 69 6f 00 50'

async function linkTo(t: TestContext, script: string[], control: 'none' | 'lost' = 'none') {
  const proxy = await ScriptedProxy.listen('tcp', script)
  t.after(() => proxy[Symbol.asyncDispose]())
  const clock = new FakeClock()
  return { proxy, clock, link: new SocksLink({ worker: 'tor01', socks: proxy.address, clock, control }) }
}

describe('SocksLink', { timeout: 10_000 }, () => {
  it('connects as the identity, and knows no exit', async (t) => {
    const { link, proxy } = await linkTo(t, [...GREETED, ...ALICE, CONNECT, '>05 00 00 01 00 00 00 00 00 00'])
    const connection = await link.connect(target, identity, never)
    await proxy.played
    assert.equal(connection.route, 'socks')
    assert.equal(await connection.exit(60_000), undefined)
    connection.socket.destroy()
  })

  it('tells what the reply of Tor means', async (t) => {
    const { link } = await linkTo(t, [...GREETED, ...ALICE, CONNECT, '>05 04 00 01 00 00 00 00 00 00'])
    await assert.rejects(link.connect(target, identity, never), (error) => codeOf(error) === 'resolve_failed')
  })

  it('says that its SOCKS port is silent until told to give up, and leaves no socket behind', async (t) => {
    const { link, proxy } = await linkTo(t, ['05 01 02'])
    const patience = new AbortController()
    const pulse = link.pulse(patience.signal)
    await proxy.played
    patience.abort(new Error('no longer'))
    await assert.rejects(pulse, (error: Error) => {
      assert.equal(error.message, 'Worker tor01 does not answer: its SOCKS port is silent')
      return codeOf(error) === 'worker_unreachable'
    })
    await proxy.abandoned
    await assert.rejects(link.pulse(AbortSignal.abort(new Error('too late'))), /too late/)
  })

  it('has a pulse when the whole greeting is answered', async (t) => {
    const { link, proxy } = await linkTo(t, [...GREETED, ...PULSE])
    await link.pulse(never)
    await proxy.played
    await proxy.abandoned
  })

  it('refuses what needs a control port: for good without one, for now when it is lost', async (t) => {
    const none = await linkTo(t, [])
    await assert.rejects(none.link.newCircuits(never), (error: Error) => {
      assert.equal(error.message, 'Cannot get new circuits of worker tor01: it has no control port. Configure one')
      return codeOf(error) === 'conflict'
    })
    const lost = await linkTo(t, [], 'lost')
    await assert.rejects(lost.link.warmUp(never), (error: Error) => {
      assert.equal(error.message, 'Cannot warm up worker tor01: its control port does not answer')
      return codeOf(error) === 'worker_unreachable'
    })
    assert.deepEqual(await lost.link.inspect(), NOTHING_KNOWN)
    assert.equal(lost.link.newCircuitsActAt(), lost.clock.now())
    assert.equal(lost.proxy.connections, 0)
  })
})

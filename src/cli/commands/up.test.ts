import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../../lib/fake-clock.ts'
import { EXIT, runCli } from '../cli.ts'

/** What `cbtor up` writes to standard error of a service that has just made `adminKey`, and of one that has not. */
async function up(adminKey: string | undefined, isTTY: boolean): Promise<string> {
  const end = new AbortController()
  const written: string[] = []
  const notHere = () => Promise.reject(new Error('There is none in this test'))
  const code = await runCli(['up'], {
    env: { CBTOR_STATE: '/var/lib/cbtor' },
    out: { write: (text) => assert.fail(String(text)) },
    err: { isTTY, write: (text) => written.push(String(text)) },
    clock: new FakeClock(),
    signal: end.signal,
    async createService() {
      setImmediate(() => end.abort())
      return {
        ...{ url: 'http://127.0.0.1:32211', adminKey, proxy: { http: undefined, socks: undefined } },
        pids: () => ({}),
        ready: notHere,
        async [Symbol.asyncDispose]() {},
      }
    },
    createTestNetwork: notHere,
    boxes: { whyNot: notHere, runInHost: notHere, enter: notHere, createNetwork: notHere },
  })
  assert.equal(code, EXIT.ok)
  return written.join('')
}

describe('cbtor up', () => {
  it('shows the admin key when it was made, to somebody at a terminal', async () => {
    assert.match(
      await up('cbt_a_b', true),
      /^cbtor: the admin key is in \/var\/lib\/cbtor\/admin\.key, shown this once: cbt_a_b\n/,
    )
  })

  it('says but where it is to what may keep it, such as a journal', async () => {
    const text = await up('cbt_a_b', false)
    assert.match(text, /^cbtor: the admin key is in \/var\/lib\/cbtor\/admin\.key\n/)
    assert.doesNotMatch(text, /cbt_a/)
  })

  it('says nothing of it when it was there before', async () => {
    assert.doesNotMatch(await up(undefined, true), /key/)
  })
})

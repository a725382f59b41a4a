import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { StoreError } from '../../store/store-error.ts'
import { EXIT } from '../exit-with.ts'
import { runTestCli } from '../test-cli.ts'

/** What `cbtor up` writes to standard error of a service that has just made `adminKey`, and of one that has not. */
async function up(adminKey: string | undefined, isTTY: boolean): Promise<string> {
  const end = new AbortController()
  let written = ''
  const { code, out } = await runTestCli(
    ['up'],
    { CBTOR_STATE: '/var/lib/cbtor' },
    {
      err: { isTTY, write: (text: string) => (written += text) },
      signal: end.signal,
      async createService() {
        setImmediate(() => end.abort())
        return {
          ...{ url: 'http://127.0.0.1:32211', adminKey, proxy: { http: undefined, socks: undefined } },
          pids: () => ({}),
          ready: () => Promise.reject(new Error('Nobody waits for it')),
          reload: () => Promise.reject(new Error('Nobody has it read anew')),
          async [Symbol.asyncDispose]() {},
        }
      },
    },
  )
  assert.deepEqual([code, out], [EXIT.ok, ''])
  return written
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

it('cbtor up reads its file once more, however many SIGHUPs come while it is at it', async () => {
  const end = new AbortController()
  let hangup = () => {}
  const reads: (() => void)[] = []
  const told: string[] = []
  const tick = () => new Promise((resolve) => setImmediate(resolve))
  const running = runTestCli(
    ['up'],
    { CBTOR_STATE: '/var/lib/cbtor' },
    {
      signal: end.signal,
      manager: { ready: async () => {}, reloading: async () => void told.push('reloading'), stopping: async () => {} },
      onHangup(listener) {
        hangup = listener
        return { [Symbol.dispose]() {} }
      },
      createService: async () => ({
        ...{ url: 'http://127.0.0.1:32211', adminKey: undefined, proxy: { http: undefined, socks: undefined } },
        pids: () => ({}),
        ready: async () => {},
        reload: () => new Promise<void>((resolve) => void reads.push(resolve)),
        async [Symbol.asyncDispose]() {},
      }),
    },
  )
  await tick()
  for (let n = 0; n < 100; n++) hangup()
  await tick()
  assert.equal(reads.length, 1)
  reads[0]?.()
  await tick()
  assert.equal(reads.length, 2, 'what was written since is read')
  reads[1]?.()
  await tick()
  assert.deepEqual([reads.length, told.length], [2, 2])
  hangup()
  await tick()
  assert.equal(reads.length, 3)
  reads[2]?.()
  end.abort()
  await running
})

it('cbtor up has its file read anew at each SIGHUP, says what is wrong with it, and goes on', async () => {
  const end = new AbortController()
  const told: unknown[] = []
  let hangup = () => {}
  let written = ''
  let reloads = 0
  const { code } = await runTestCli(
    ['up', '--mode', 'sticky'],
    { CBTOR_STATE: '/var/lib/cbtor' },
    {
      err: { write: (text: string) => (written += text) },
      signal: end.signal,
      manager: {
        ready: async (status) => void told.push(status),
        reloading: async () => void told.push('reloading'),
        stopping: async (drainMs) => void told.push(drainMs),
      },
      onHangup(listener) {
        hangup = listener
        return { [Symbol.dispose]: () => (written += 'no more\n') }
      },
      async createService(_config, _signal, reread) {
        assert.equal(reread?.().mode, 'sticky')
        setImmediate(() => {
          hangup()
          hangup()
          setImmediate(() => end.abort())
        })
        return {
          ...{ url: 'http://127.0.0.1:32211', adminKey: undefined, proxy: { http: undefined, socks: undefined } },
          pids: () => ({}),
          ready: async () => {},
          reload: async () => {
            if (reloads++ > 0) throw new Error('it has a fault')
          },
          async [Symbol.asyncDispose]() {},
        }
      },
    },
  )
  assert.deepEqual([code, reloads], [EXIT.ok, 2])
  const answers = 'The API answers at http://127.0.0.1:32211'
  assert.deepEqual(told, [answers, 'reloading', answers, 'reloading', answers, 10_000])
  assert.match(written, /\ncbtor: the configuration is not applied: it has a fault\n[\s\S]*stopping[\s\S]*no more\n$/)
})

it('cbtor up waits for a shared store when it is told to, says for what, and else does not', async () => {
  const waits: (number | undefined)[] = []
  const up = async (...words: string[]) => {
    let written = ''
    const err = { write: (text: string) => (written += text) }
    const { code } = await runTestCli(
      ['up', ...words],
      { CBTOR_STATE: '/var/lib/cbtor' },
      {
        err,
        async createService(config, _signal, _reread, storeWait) {
          assert.equal(config.state, '/var/lib/cbtor')
          waits.push(storeWait?.ms)
          storeWait?.onWait('Cannot reach it')
          throw new StoreError('refused', 'Cannot use the store')
        },
      },
    )
    return [code, written] as const
  }
  assert.deepEqual(await up(), [EXIT.store, 'cbtor: Cannot use the store\n'])
  const waited = 'cbtor: waiting for the shared store: Cannot reach it\ncbtor: Cannot use the store\n'
  assert.deepEqual(await up('--wait-for-store'), [EXIT.store, waited])
  assert.deepEqual(await up('--wait-for-store=90s'), [EXIT.store, waited])
  assert.deepEqual(waits, [undefined, Number.POSITIVE_INFINITY, 90_000])
  const [code, text] = await up('--wait-for-store', 'long')
  assert.equal(code, EXIT.usage)
  assert.match(text, /expected a duration with its unit/)
})

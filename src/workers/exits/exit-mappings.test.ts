import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { codeOf } from '../../domain/errors.ts'
import { FakeClock } from '../../lib/fake-clock.ts'
import { seededRandom } from '../../lib/random.ts'
import type { TorControl } from '../../tor/control/client.ts'
import { ControlClosedError } from '../../tor/control/errors.ts'
import { ExitMappings } from './exit-mappings.ts'

const never = new AbortController().signal
const EXIT = 'A'.repeat(40)
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** A Tor's mappings, and whether it answers. */
function lab(left: readonly (readonly [from: string, to: string])[] = []) {
  const clock = new FakeClock()
  const mapped = new Map(left)
  const tor = { hangs: false, fails: undefined as Error | undefined, refuses: false }
  const control: Pick<TorControl, 'mapAddress' | 'getInfo'> = {
    async mapAddress(mappings, signal) {
      signal.throwIfAborted()
      if (tor.hangs)
        return await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      if (tor.fails) throw tor.fails
      return mappings.map(({ from, to }) => {
        if (from === to) mapped.delete(from)
        else if (tor.refuses) return { isMapped: false, code: 512, text: 'syntax error: invalid address' }
        else mapped.set(from, to)
        return { isMapped: true, from, to }
      })
    },
    getInfo: async <const Key extends string>(keys: readonly Key[]) => {
      const text = [...mapped].map(([from, to]) => `${from} ${to} NEVER`).join('\n')
      return Object.fromEntries(keys.map((key) => [key, text])) as Record<Key, string>
    },
  }
  const mappings = new ExitMappings({ worker: 'tor01', control, clock, random: seededRandom(1) })
  return { clock, mapped, tor, mappings }
}

describe('ExitMappings', () => {
  it('maps a name of its own for each stream, which can be no onion address, and takes it away', async () => {
    const { mappings, mapped } = lab()
    const one = await mappings.map('a.test', EXIT, never)
    const other = await mappings.map('198.51.100.1', EXIT, never)
    assert.notEqual(one.name, other.name)
    assert.match(one.name, /^[0-9a-f]{32}\.onion$/)
    assert.deepEqual(
      [...mapped],
      [
        [one.name, `a.test.${EXIT}.exit`],
        [other.name, `198.51.100.1.${EXIT}.exit`],
      ],
    )
    one[Symbol.dispose]()
    other[Symbol.dispose]()
    await turn()
    assert.equal(mapped.size, 0)
  })

  it('takes away what an earlier control connection has left, and nothing that is not ours', async () => {
    const theirs = [
      ['www.example.com', 'example.com'],
      [`${'a'.repeat(56)}.onion`, 'b.onion'],
    ] as const
    const { mappings, mapped } = lab([[`${'0'.repeat(32)}.onion`, `a.test.${EXIT}.exit`], ...theirs])
    using mapping = await mappings.map('a.test', EXIT, never)
    await turn()
    assert.deepEqual([...mapped.keys()], [...theirs.map(([from]) => from), mapping.name])
  })

  it('does not wait for a control port that is stuck', async () => {
    const { mappings, tor, clock } = lab()
    tor.hangs = true
    const mapping = assert.rejects(mappings.map('a.test', EXIT, never), (error: Error) => {
      assert.match(error.message, /does not answer within 3000 ms/)
      return codeOf(error) === 'worker_unreachable'
    })
    await clock.advance(3_000)
    await mapping
  })

  it('gathers no more than so many while the control port is stuck', async () => {
    const { mappings, tor, clock } = lab()
    tor.hangs = true
    const all = Promise.allSettled(Array.from({ length: 2_100 }, () => mappings.map('a.test', EXIT, never)))
    await clock.advance(3_000)
    const codes = (await all).map((result) => result.status === 'rejected' && codeOf(result.reason))
    assert.equal(codes.filter((code) => code === 'overloaded').length, 52)
    await assert.rejects(mappings.map('a.test', EXIT, never), (error) => codeOf(error) === 'overloaded')
  })

  it('takes a mapping away of which it does not know whether it was made', async () => {
    const { mappings, mapped } = lab()
    const controller = new AbortController()
    const mapping = mappings.map('a.test', EXIT, controller.signal)
    controller.abort(new Error('the client left'))
    await mapping.catch(() => {})
    await turn()
    assert.equal(mapped.size, 0)
  })

  it('says whose fault it is', async () => {
    const { mappings, tor } = lab()
    tor.refuses = true
    await assert.rejects(mappings.map('a b', EXIT, never), (error) => codeOf(error) === 'exit_rule_unsupported')
    tor.fails = new ControlClosedError('gone')
    await assert.rejects(mappings.map('a.test', EXIT, never), (error) => codeOf(error) === 'worker_unreachable')
    const left = AbortSignal.abort(new Error('the client left'))
    await assert.rejects(mappings.map('a.test', EXIT, left), /the client left/)
  })
})

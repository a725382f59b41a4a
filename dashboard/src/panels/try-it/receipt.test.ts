import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { FetchAnswerBody } from '../../api/bodies.ts'
import { hopsOf } from './hops.ts'
import { spansOf } from './timeline.ts'

const TIMING = { queue_ms: 1, connect_ms: 100, tls_ms: 20, first_byte_ms: 30, body_ms: 9, total_ms: 160 }

function spans(timing: Parameters<typeof spansOf>[0], isAnswered = true) {
  return spansOf(timing, { isAnswered }).map(({ name, fromMs, ms }) => `${name} ${fromMs}+${ms}`)
}

describe('spansOf()', () => {
  it('puts the parts one behind the other', () => {
    assert.deepEqual(spans(TIMING), ['Queue 0+1', 'Circuit 1+100', 'TLS 101+20', 'First byte 121+30', 'Body 151+9'])
  })

  it('leaves TLS out where there was none', () => {
    assert.ok(!spans({ ...TIMING, tls_ms: 0 }).some((text) => text.startsWith('TLS')))
  })

  it('shows what went into other tries before the one that answered', () => {
    assert.deepEqual(spans({ ...TIMING, total_ms: 660 }).slice(0, 3), ['Queue 0+1', 'Before 1+500', 'Circuit 501+100'])
  })

  it('shows of a failure what is known, and that the rest is lost', () => {
    assert.deepEqual(spans({ queue_ms: 2, total_ms: 1_002 }, false), ['Queue 0+2', 'Lost 2+1000'])
  })
})

function answer(url: string, receipt: Partial<FetchAnswerBody['receipt']>) {
  return { url, receipt: { worker: 'tor02', route: 'socks', exit: null, ...receipt } as FetchAnswerBody['receipt'] }
}

const relay = (nickname: string, country: string | null = null) => ({ nickname, fingerprint: 'F'.repeat(40), country })
const PATH = [relay('g', 'de'), relay('m'), relay('e', 'nl')]
const ONION = `${'a'.repeat(56)}.onion`

function hops(of: ReturnType<typeof answer>) {
  return hopsOf(of).map(({ role, name, country }) => [role, name, country].filter((each) => each !== null).join(' '))
}

describe('hopsOf()', () => {
  it('goes by the worker and the relays to the target', () => {
    assert.deepEqual(hops(answer('https://a.test/x', { circuit_path: PATH })), [
      ...['gateway CBTOR', 'worker, by SOCKS tor02', 'guard g de', 'middle m', 'exit e nl', 'target a.test'],
    ])
  })

  it('ends at the rendezvous point for an onion service', () => {
    assert.deepEqual(hops(answer(`http://x.${ONION}/`, { circuit_path: PATH, route: 'transparent' })).slice(1), [
      ...['worker, by tunnel tor02', 'guard g de', 'middle m', 'rendezvous e nl', 'onion service aaaaaaaa…aaaa.onion'],
    ])
  })

  it('says what is not known', () => {
    const exit = { ...relay('e', 'nl'), address: null }
    assert.deepEqual(hops(answer('http://a.test/', { circuit_path: null, exit })).slice(2), [
      ...['circuit not told', 'exit e nl', 'target a.test'],
    ])
    assert.deepEqual(hops(answer('http://a.test/', { circuit_path: null })).slice(2), [
      'circuit not told',
      'target a.test',
    ])
  })
})

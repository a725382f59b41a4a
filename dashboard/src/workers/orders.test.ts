import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LiveRequestBody, LiveWorkerBody } from '../api/bodies.ts'
import { testWorker } from '../test-worker.ts'
import { newCircuitsText, ordersFor } from './orders.ts'

const OTHER = testWorker(2)

function request(kind: LiveRequestBody['kind'], worker = 'tor01'): LiveRequestBody {
  return { ...{ id: 1, kind, class: 'clear', port: 443, key: 'k', worker }, started_at: '2026-01-31T12:00:00.000Z' }
}

function offered(other: Partial<LiveWorkerBody>, requests: LiveRequestBody[] = [], others = [OTHER]) {
  const worker = testWorker(1, other)
  return new Map(ordersFor(worker, { workers: [worker, ...others], requests }).map((order) => [order.name, order]))
}

describe('ordersFor()', () => {
  it('offers what makes sense for the worker as it is', () => {
    assert.deepEqual([...offered({}).keys()], ['newnym', 'restart', 'drain', 'stop'])
    assert.deepEqual([...offered({ kind: 'openwrt' }).keys()], ['newnym', 'restart', 'drain', 'stop', 'reboot'])
    assert.deepEqual([...offered({ desired: 'drained' }).keys()], ['newnym', 'restart', 'enable', 'stop'])
    assert.deepEqual([...offered({ desired: 'stopped' }).keys()], ['start', 'enable'])
  })

  it('asks first where it costs something, and says what', () => {
    const orders = offered({ leases: 3 }, [request('tunnel'), request('fetch'), request('tunnel', 'tor02')])
    assert.equal(
      orders.get('stop')?.confirm?.text,
      '2 requests under way on tor01 are given up there and tried on other workers where that is safe; 1 tunnel through tor01 ends. It stays stopped until it is started or enabled.',
    )
    assert.match(String(orders.get('restart')?.confirm?.text), /^2 requests .* It comes back with the same guards/)
    assert.equal(orders.get('drain')?.confirm, undefined)
    assert.deepEqual(orders.get('drain')?.body, { worker: 'tor01', force: false })
    assert.equal(offered({ desired: 'stopped' }).get('start')?.confirm, undefined)
    assert.match(String(offered({}).get('stop')?.confirm?.text), /^Nothing is under way on tor01\./)
  })

  it('says when nobody else takes traffic, and then means it', () => {
    const orders = offered({ leases: 1 }, [], [testWorker(2, { receives_traffic: false })])
    assert.match(String(orders.get('stop')?.confirm?.text), /No other worker takes traffic: requests fail meanwhile\.$/)
    assert.match(String(orders.get('drain')?.confirm?.title), /the last worker\?$/)
    assert.deepEqual(orders.get('drain')?.body, { worker: 'tor01', force: true })
    assert.equal(offered({ receives_traffic: false }, [], []).get('drain')?.confirm, undefined)
  })

  it('tells the exits of new circuits as far as they are known', () => {
    const exit = (nickname: string) => ({ nickname, fingerprint: 'A', address: null, country: null })
    const answer = { worker: 'tor01', exit_changed: true, took_ms: 5 }
    assert.equal(
      newCircuitsText('tor01', { ...answer, exits_before: [exit('a')], exits_after: [exit('b'), exit('c')] }),
      'tor01 has new circuits, by b, c (before: a).',
    )
    assert.equal(newCircuitsText('tor01', { ...answer, exits_before: [], exits_after: [] }), 'tor01 has new circuits.')
    assert.match(newCircuitsText('tor01', { acts_at: '2026-01-31T12:00:00.000Z' }), /will have new circuits/)
  })
})

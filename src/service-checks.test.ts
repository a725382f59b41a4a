import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { EndpointStatistics } from './health/check-endpoints.ts'
import { FakeClock } from './lib/fake-clock.ts'
import type { Json } from './lib/json.ts'
import { CheckShare } from './service-checks.ts'

const NOTHING = { lastError: undefined, p50Ms: undefined, p95Ms: undefined }

function endpoint(url: string, attempts: number, failures: number, worker: string): EndpointStatistics {
  const counts = { ...NOTHING, attempts, failures, successes: attempts - failures, lastSuccessAt: 1_000 * attempts }
  return { ...counts, name: url, url, kind: 'clearnet', series: [], byWorker: new Map([[worker, counts]]) }
}

function world() {
  const clock = new FakeClock()
  const told = new Map<string, Json>()
  const store = {
    checkStatistics: () => told,
    setCheckStatistics: (replica: string, statistics: Json) => void told.set(replica, statistics),
  }
  const gateway = (replica: string, ...own: EndpointStatistics[]) =>
    new CheckShare({ ...{ clock, store, replica, checks: { statistics: () => own } }, keep: (write) => write() })
  return { clock, told, gateway }
}

it('adds what other gateways have seen, by endpoint and by worker, as long as they are there', async () => {
  const { clock, gateway } = world()
  using first = gateway('gw1', endpoint('http://a/', 10, 1, 'tor01'), endpoint('http://b/', 1, 0, 'tor01'))
  const second = gateway('gw2', endpoint('http://a/', 5, 2, 'tor01'), endpoint('http://c/', 7, 0, 'tor02'))
  using _third = gateway('gw3', endpoint('http://a/', 20, 0, 'tor03'))
  assert.equal(first.statistics()[0]?.attempts, 10)
  await clock.advance(30_000)
  const [a, b] = first.statistics()
  assert.deepEqual([a?.attempts, a?.successes, a?.failures, a?.lastSuccessAt], [35, 32, 3, 20_000])
  assert.deepEqual(
    [...(a?.byWorker ?? [])].map(([name, { attempts, failures }]) => [name, attempts, failures]),
    [
      ['tor01', 15, 3],
      ['tor03', 20, 0],
    ],
  )
  assert.equal(b?.attempts, 1)

  second[Symbol.dispose]()
  await clock.advance(6 * 60_000)
  assert.equal(first.statistics()[0]?.attempts, 30)
})

it('takes no harm from what is not understood', async () => {
  const { clock, told, gateway } = world()
  using first = gateway('gw1', endpoint('http://a/', 10, 1, 'tor01'))
  await clock.advance(1)
  const at = clock.now()
  const strange: Json[] = [
    ...[null, 'x', {}, { at, endpoints: 1 }, { at: 'now', endpoints: [] }],
    ...[[null], ['http://a/'], ['http://a/', [1, 2, null], []], ['http://a/', ['1', 1, null], []]].map((told) => ({
      at,
      endpoints: [told],
    })),
    { at, endpoints: [['http://a/', [2, 1, 'x'], [['tor01'], 7, ['tor02', [1, 1, 5]]]]], further: true },
  ]
  for (const [n, json] of strange.entries()) told.set(`strange${n}`, json)
  const [a] = first.statistics()
  assert.deepEqual([a?.attempts, a?.successes, a?.byWorker.get('tor02')?.attempts], [12, 10, 1])
})

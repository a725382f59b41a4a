/**
 * What is promised of workers that fail, measured on real Tors. Each runs shorter than the promise's own figure asks for: PROMISE_KILLS,
 * PROMISE_FAULTS and PROMISE_LOAD_S make it as long.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import { drill } from '../../src/cli/drill/drill.ts'
import { faultKinds } from '../../src/cli/drill/faults.ts'
import { Load } from '../../src/cli/drill/load.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { eventually } from '../asking.ts'
import { createLab, type Lab } from './lab.ts'

/** 100 in the promise. */
const KILLS = Number(process.env.PROMISE_KILLS ?? 20)
/** Of each kind. */
const FAULTS = Number(process.env.PROMISE_FAULTS ?? 2)
/** 600 in the promise, with a kill every 20 s. */
const LOAD_S = Number(process.env.PROMISE_LOAD_S ?? 30)
const KILL_EVERY_S = Math.min(20, LOAD_S / 3)
const PER_SECOND = 50
/** For a machine that is busy with other tests. */
const SLACK_MS = 500
const never = new AbortController().signal

describe('workers that fail', { timeout: 1_800_000 }, () => {
  let lab: Lab
  before(async () => {
    lab = await createLab()
  })
  after(async () => {
    await lab?.[Symbol.asyncDispose]()
  })

  const victims = () => lab.config.workers.map(({ id }, index) => ({ id, n: index + 1 }))

  it(`are taken out of rotation within 250 ms of a crash, and are back within 30 s: ${KILLS} kills`, async (t) => {
    const { kill } = faultKinds(lab.service, lab.network)
    const results = await drill({ ...drilling(2, 200), faults: Array.from({ length: KILLS }, () => kill) }, never)
    const noticed = results.map(({ noticedMs }) => noticedMs)
    const healed = results.map(({ healedMs }) => healedMs)
    tell(t, `${KILLS} kills, noticed within`, noticed)
    tell(t, `${KILLS} kills, healthy again within`, healed)
    assert.ok(percentile(noticed, 99) <= 250, `noticed: ${noticed}`)
    assert.ok(percentile(healed, 95) <= 30_000, `healed: ${healed}`)
  })

  for (const { how, perSecond } of [
    { how: 'idle', perSecond: 0 },
    { how: 'loaded', perSecond: 20 },
  ]) {
    it(`are taken out of rotation within 4 s of a freeze and 12 s of a black hole: ${how}, ${FAULTS} of each`, async (t) => {
      const { freeze, blackhole } = faultKinds(lab.service, lab.network)
      const faults = Array.from({ length: FAULTS }, () => [freeze, blackhole]).flat()
      const results = await drill({ ...drilling(perSecond, 2_000), faults }, never)
      for (const [fault, limitMs] of [
        ['freeze', 4_000],
        ['blackhole', 12_000],
      ] as const) {
        const noticed = results.flatMap((result) => (result.fault === fault ? [result.noticedMs] : []))
        tell(t, `${FAULTS} times ${fault}, ${how}, noticed within`, noticed)
        assert.ok(percentile(noticed, 99) <= limitMs + SLACK_MS, `${fault}: ${noticed}`)
      }
      assert.deepEqual(
        results.flatMap(({ failures }) => failures),
        [],
      )
    })
  }

  it(`are nobody's problem: ${PER_SECOND} requests a second for ${LOAD_S} s while one after the other is killed`, async (t) => {
    const { kill } = faultKinds(lab.service, lab.network)
    const load = new Load(lab.api, `${lab.network.urls.www}/ip`, PER_SECOND, systemClock)
    const kills: number[] = []
    const until = performance.now() + LOAD_S * 1_000
    for (let turn = 0; performance.now() < until; turn++) {
      await systemClock.sleep(KILL_EVERY_S * 500, never)
      const victim = victims()[turn % victims().length] ?? { id: 'tor01', n: 1 }
      await eventually(async () => (await lab.api.worker(victim.id)).state === 'healthy')
      kills.push(Date.now())
      await kill.inject(victim)
      await systemClock.sleep(KILL_EVERY_S * 500, never)
    }
    await load[Symbol.asyncDispose]()
    const { requests } = load
    const failed = requests.filter(({ outcome }) => outcome !== 'ok')
    const wasHit = ({ startedAt }: { readonly startedAt: number }) =>
      kills.some((at) => startedAt > at - 1_000 && startedAt < at + 3_000)
    const [calm, hit] = [requests.filter((each) => !wasHit(each)), requests.filter(wasHit)]
    const added =
      percentile(
        hit.map(({ ms }) => ms),
        99,
      ) -
      percentile(
        calm.map(({ ms }) => ms),
        99,
      )
    t.diagnostic(
      `figure: ${requests.length} requests, ${kills.length} kills: ${failed.length} failed; p99 around a kill ${Math.round(added)} ms above that of calm`,
    )
    assert.ok(requests.length > LOAD_S * PER_SECOND * 0.9)
    assert.ok(failed.length <= requests.length / 1_000, JSON.stringify(failed.slice(0, 5)))
    assert.ok(added <= 3_000, `${added} ms`)
  })

  function drilling(perSecond: number, settleMs: number) {
    return {
      api: lab.api,
      clock: systemClock,
      url: `${lab.network.urls.www}/ip`,
      perSecond,
      workers: victims(),
      settleMs,
    }
  }
})

function tell(t: TestContext, what: string, ms: readonly number[]): void {
  t.diagnostic(`figure: ${what}: median ${Math.round(percentile(ms, 50))} ms, most ${Math.round(Math.max(...ms))} ms`)
}

function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? 0
}

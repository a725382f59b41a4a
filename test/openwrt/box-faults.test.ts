/**
 * What can happen to boxes, under load: no request is lost while another box is well, each fault is noticed and told, and
 * the worker is well again soon after, by itself or by the ladder. Run it as real root in an empty network namespace:
 * `unshare --net node --test test/openwrt/box-faults.test.ts`. Some three minutes.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import type { TestBox } from '../../src/testnet/boxes/box.ts'
import { eventually } from '../asking.ts'
import { type BoxLab, createBoxLab } from './box-lab.ts'
import { Load, type RunningService, startBoxService } from './box-service.ts'
import { removeHostPeers } from './rack-host.ts'

interface Fault {
  readonly name: string
  /** Resolves when the fault is there, with what ends it. When that is no function, the ladder has to. */
  inject(box: TestBox): Promise<unknown>
  /** What tells of it: the state of the worker, a problem of its box, or nothing, as nothing is the matter with the worker. */
  readonly toldBy: 'state' | 'problem' | 'nothing'
  /** From its beginning. */
  readonly noticedWithinMs: number
  /** From its end, or from its beginning where the ladder has to end it. */
  readonly healedWithinMs: number
}

// Bounds on a hang, several times what it takes; the report has what it took.
/** A fault that is a fact, and not a matter of patience. */
const AT_ONCE = 5_000
const SOON = 20_000
/** How long such a fault lasts at least. */
const HOLD_MS = 15_000
/** By the ladder: the settling of a hang, a greeting that is not answered, procd, a handshake. */
const BY_LADDER = 60_000
/** By Tor, which finds out by itself that its connection to its guard is over, and when to try a guard that refused it again. */
const BY_TOR = 120_000

const FAULTS: readonly Fault[] = [
  fault('tor killed', 'state', AT_ONCE, BY_LADDER, (box) => box.killTor()),
  fault('tor stopped', 'state', AT_ONCE, BY_LADDER, (box) => run(box, '/etc/init.d/tor stop')),
  fault('tor killed six times', 'state', AT_ONCE, 60_000, (box) => box.killTorSixTimes()),
  fault('tor frozen', 'state', SOON, BY_LADDER, (box) => box.freezeTor()),
  fault('tor frozen and restarted', 'state', SOON, BY_LADDER, async (box) => {
    await box.freezeTor()
    await run(box, '/etc/init.d/tor restart')
  }),
  fault("the box's peer removed", 'state', SOON, BY_LADDER, (box) => box.removePeer()),
  fault('wg0 deleted', 'state', SOON, BY_LADDER, (box) => box.deleteWg()),
  fault("the host's peer removed", 'state', SOON, BY_LADDER, async ({ n }) => {
    await removeHostPeers(`wg-tor0${n}`)
  }),
  fault('the firewall lost', 'state', SOON, BY_LADDER, (box) => box.dropFirewall()),
  fault('relays lost, in silence', 'state', SOON, BY_TOR, async (box) => {
    await box.blockRelays('drop')
    return () => box.unblockRelays()
  }),
  fault('relays refused', 'state', SOON, BY_TOR, async (box) => {
    await box.blockRelays('reset')
    return () => box.unblockRelays()
  }),
  fault('the cable pulled', 'state', SOON, BY_TOR, async (box) => {
    await box.linkDown()
    return () => box.linkUp()
  }),
  fault('everything lost at the router', 'state', SOON, BY_TOR, async (box) => {
    await box.blackhole(true)
    return () => box.blackhole(false)
  }),
  fault('the box rebooted', 'state', SOON, BY_LADDER, async (box) => {
    await box.exec('reboot')
  }),
  fault('/tmp full', 'problem', SOON, BY_LADDER, async (box) => {
    await box.fillTmp()
    return () => box.freeTmp()
  }),
  fault('dropbear stopped', 'nothing', 0, 0, async (box) => {
    await box.stopDropbear()
    return () => box.startDropbear()
  }),
  fault('dropbear frozen', 'nothing', 0, 0, async (box) => {
    await box.freezeDropbear()
    return () => box.thawDropbear()
  }),
]

function fault(
  name: string,
  toldBy: Fault['toldBy'],
  noticedWithinMs: number,
  healedWithinMs: number,
  inject: Fault['inject'],
): Fault {
  return { name, toldBy, noticedWithinMs, healedWithinMs, inject }
}

async function run(box: TestBox, script: string): Promise<void> {
  await box.read(script)
}

describe('four boxes under five requests a second', { timeout: 900_000 }, () => {
  let lab: BoxLab
  let running: RunningService
  let load: Load
  const told: { at: number; worker: string | undefined; type: string; to: unknown; code: unknown }[] = []
  const watching = new AbortController()

  before(async () => {
    lab = await createBoxLab({})
    running = await startBoxService(lab)
    const { urls } = lab.network
    load = new Load(
      running.api,
      [`${urls.www}/ip`, `${urls.onion}/`, `${urls.check}/api/ip`, `${urls.httpsWww}/`, `${urls.www}/ip`],
      5,
    )
    void watch()
  })

  after(async () => {
    await ended()
    await lab?.[Symbol.asyncDispose]()
  })

  async function ended(): Promise<void> {
    watching.abort()
    await load?.[Symbol.asyncDispose]()
    await running?.[Symbol.asyncDispose]()
  }

  async function watch(): Promise<void> {
    try {
      await listen()
    } catch (error) {
      if (!watching.signal.aborted) throw error
    }
  }

  async function listen(): Promise<void> {
    for await (const item of running.api.watchEvents({}, watching.signal)) {
      if (item.type !== 'event') continue
      const { type, worker, details } = item.event
      told.push({ at: performance.now(), worker: worker ?? undefined, type, to: details.to, code: details.code })
    }
  }

  /** Two at a time, each on boxes of its own, so that two are always well. */
  it('lose no request, tell of each fault, and are well again', async (t) => {
    const lanes = [
      { boxes: [1, 2], faults: FAULTS.filter((_, index) => index < 9) },
      { boxes: [3, 4], faults: FAULTS.filter((_, index) => index >= 9) },
    ]
    const rows: string[] = []
    await Promise.all(
      lanes.map(async ({ boxes, faults }) => {
        for (const [turn, each] of faults.entries()) rows.push(await suffer(each, boxes[turn % boxes.length] ?? 1))
      }),
    )
    report(t, rows)
    // An onion service of a private network has its own bad moments, and other workers are asked as far as the retry budget goes.
    const byService = load.failures.filter(({ failure }) => /^onion_/.test(failure ?? ''))
    assert.deepEqual(
      load.failures.filter((each) => !byService.includes(each)),
      [],
    )
    assert.ok(byService.length <= load.answers.length / 100, `${byService.length} requests failed by the onion service`)
  })

  it('reboot one that nothing else helps, once, and see that it did', async () => {
    await ended()
    // The original's pace would take minutes.
    const health = {
      check_interval: '2s',
      check_timeout: '2s',
      recovery_backoff: ['1s'],
      reboot_after_attempts: 1,
      reboot_wait: '10s',
    }
    await using impatient = await startBoxService(lab, { health })
    const box = lab.rack.box(1)
    const before = await box.bootId()
    const { next_since_id: since_id } = await impatient.api.events({ limit: 1 })
    // In the box's own kernel, so that only a reboot ends it.
    await run(box, "nft 'add table inet broken; add chain inet broken out { type filter hook output priority 0; }'")
    await run(box, "nft 'add rule inet broken out ip daddr 203.0.113.0/24 drop'")
    await eventually(async () => box.boots > 1, 120_000)
    await box.waitUp({ after: before })
    assert.notEqual(await box.bootId(), before)
    await eventually(async () => (await impatient.api.worker('tor01')).state === 'healthy', 60_000)
    const { events } = await impatient.api.events({ since_id, limit: 1_000 })
    const own = events.filter(({ worker }) => worker === 'tor01').map(({ type }) => type)
    assert.equal(own.filter((type) => type === 'reboot_ordered').length, 1, own.join())
    assert.equal(box.boots, 2)
  })

  async function suffer(each: Fault, n: number): Promise<string> {
    const box = lab.rack.box(n)
    const worker = `tor0${n}`
    await eventually(async () => await isWell(worker), 60_000)
    const since = performance.now()
    const end = await each.inject(box)
    const first = (isIt: (event: (typeof told)[number]) => boolean, from: number) =>
      told.find((event) => event.worker === worker && event.at >= from && isIt(event))?.at
    const isNotice = ({ type, to, code }: (typeof told)[number]) =>
      each.toldBy === 'problem'
        ? type === 'problem_opened' && code === 'box_ailing'
        : type === 'health_changed' && (to === 'suspect' || to === 'dead')
    const noticed = () => eventually(async () => first(isNotice, since), each.noticedWithinMs + 5_000)
    const endsByItself = typeof end === 'function'
    if (endsByItself) {
      await new Promise((resolve) => setTimeout(resolve, HOLD_MS))
      // On a busy machine that may take longer than the fault would last, which then nobody notices.
      if (each.toldBy !== 'nothing') await noticed()
      await end()
    }
    const healFrom = endsByItself ? performance.now() : since
    if (each.toldBy === 'nothing') {
      assert.equal((await running.api.worker(worker)).state, 'healthy', each.name)
      assert.equal(first(isNotice, since), undefined, `${each.name}: nothing is the matter with the worker`)
      return [each.name, worker, '-', '-'].join('\t')
    }
    const noticedAt = await noticed()
    assert.ok(noticedAt - since <= each.noticedWithinMs, `${each.name}: noticed after ${noticedAt - since} ms`)
    const healedAt = await eventually(async () => await wellSince(each, worker, healFrom), each.healedWithinMs + 30_000)
    assert.ok(healedAt - healFrom <= each.healedWithinMs, `${each.name}: healed after ${healedAt - healFrom} ms`)
    return [each.name, worker, ms(noticedAt - since), ms(healedAt - healFrom)].join('\t')
  }

  /** Also that nothing is told of its box any more: what ails it after a fault is seen, and seen to be over, up to 20 s later. */
  async function isWell(worker: string): Promise<boolean> {
    const { state } = await running.api.worker(worker)
    const { problems } = await running.api.health()
    return state === 'healthy' && !problems.some((each) => each.code === 'box_ailing' && each.worker === worker)
  }

  /** When it became well for good, of what was told; undefined while it is not. */
  async function wellSince({ toldBy }: Fault, worker: string, from: number): Promise<number | undefined> {
    const own = told.filter((event) => event.worker === worker)
    if (toldBy === 'problem') {
      const last = own.findLast(({ type, code }) => /^problem_(opened|closed)$/.test(type) && code === 'box_ailing')
      return last?.type === 'problem_closed' ? Math.max(last.at, from) : undefined
    }
    const last = own.findLast(({ type }) => type === 'health_changed')
    if (last?.to !== 'healthy' || (await running.api.worker(worker)).state !== 'healthy') return undefined
    return Math.max(last.at, from)
  }

  function report(t: TestContext, rows: readonly string[]): void {
    const slowest = Math.max(...load.answers.map(({ ms }) => ms))
    const retried = load.answers.filter(({ attempts }) => attempts > 1).length
    for (const row of ['fault\tworker\tnoticed\thealed', ...rows]) t.diagnostic(row)
    t.diagnostic(`${load.failures.length} of ${load.answers.length} failed, ${retried} retried, slowest ${ms(slowest)}`)
  }
})

function ms(duration: number): string {
  return `${Math.round(duration)} ms`
}

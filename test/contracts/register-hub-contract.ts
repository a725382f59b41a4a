import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { HybridClock } from '../../src/cluster/hybrid-clock.ts'
import { stampOf, type Write } from '../../src/cluster/lww-registers.ts'
import type { RegisterHub } from '../../src/cluster/register-hub.ts'
import { systemClock } from '../../src/lib/clock.ts'

export interface HubPlace extends AsyncDisposable {
  /** Another replica's way to the same hub. */
  link(): Promise<RegisterHub>
  /** Loses all that it has. */
  empty(): Promise<void>
  /** Keeps all that it has, and runs anew. Resolves when every link is up again. */
  restart(): Promise<void>
  waitMs(ms: number): Promise<void>
}

const instants = new HybridClock(systemClock, 'run')

/** Stamps by when they are made. */
function write(value: Write['value'], { until, rank = 0 }: { until?: number; rank?: number } = {}): Write {
  return { stamp: stampOf(rank, instants.next()), value, until }
}

/** What every `RegisterHub` promises. */
export function registerHubContract(name: string, create: () => Promise<HubPlace>): void {
  describe(`the ${name} hub keeps the promise of a hub`, () => {
    it('keeps of each register the newest write, in whatever order they come', async () => {
      await using place = await create()
      const [a, b] = [await place.link(), await place.link()]
      const [first, second, third] = [write(1), write({ deep: ['ü', null, true] }), write(undefined)]
      const { before, version } = await a.push([
        ['x', second],
        ['y/1', first],
      ])
      assert.deepEqual([before, version], [0, 2])
      assert.equal((await b.push([['x', first]])).version, 2)
      assert.equal((await b.push([['y/1', third]])).version, 3)
      assert.equal((await b.push([['y/1', third]])).version, 3)
      const page = await b.pull(0, 10)
      assert.deepEqual(page.writes, [
        ['x', second],
        ['y/1', third],
      ])
      assert.deepEqual([page.version, page.next], [3, 3])
      assert.deepEqual((await a.pull(3, 10)).writes, [])
    })

    it('puts rank before time', async () => {
      await using place = await create()
      const hub = await place.link()
      const high = write('high', { rank: 300 })
      await hub.push([['x', high]])
      await hub.push([['x', write('low', { rank: 20 })]])
      assert.deepEqual((await hub.pull(0, 10)).writes, [['x', high]])
    })

    it('shows page by page what was written after a version, each register once', async () => {
      await using place = await create()
      const hub = await place.link()
      const names = Array.from({ length: 25 }, (_, n) => `kind/${n}`)
      await hub.push(names.map((each) => [each, write(each)]))
      await hub.push([['kind/3', write('again')]])
      const seen: string[] = []
      let since = 0
      for (;;) {
        const { writes, next, version } = await hub.pull(since, 10)
        seen.push(...writes.map(([each]) => each))
        since = next
        if (next >= version) break
      }
      assert.deepEqual(seen, [...names.filter((each) => each !== 'kind/3'), 'kind/3'])
      assert.equal(since, 26)
    })

    it('forgets what is over, and takes what comes after it as if that had never been', async () => {
      await using place = await create()
      const hub = await place.link()
      const { now } = await hub.pull(0, 1)
      const brief = write('brief', { until: now + 300, rank: 9 })
      await hub.push([
        ['x', brief],
        ['over', write('over', { until: now - 1 })],
        ['stays', write('stays', { until: now + 100_000 })],
        ['longer', write('brief', { until: now + 300 })],
      ])
      await hub.push([['longer', write('has no end any more')]])
      assert.deepEqual(
        (await hub.pull(0, 10)).writes.map(([each]) => each),
        ['x', 'stays', 'longer'],
      )
      await place.waitMs(400)
      assert.deepEqual(
        (await hub.pull(0, 10)).writes.map(([each]) => each),
        ['stays', 'longer'],
      )
      const later = write('later')
      await hub.push([['x', later]])
      assert.deepEqual(new Map((await hub.pull(0, 10)).writes).get('x'), later)
    })

    it('tells everybody of news, and of nothing else', async () => {
      await using place = await create()
      const [a, b] = [await place.link(), await place.link()]
      const heard: number[] = []
      using _listening = b.onNews((version) => heard.push(version))
      await b.pull(0, 1)
      const first = write(1)
      await a.push([['x', first]])
      await a.push([['x', first]])
      await a.push([['x', write(2)]])
      for (let n = 0; n < 100 && heard.length < 2; n++) await place.waitMs(20)
      assert.deepEqual(heard, [1, 2])
    })

    it('shows by epoch and run that it was emptied, or runs anew', async () => {
      await using place = await create()
      const hub = await place.link()
      const before = await hub.push([['x', write(1)]])
      assert.deepEqual([(await hub.pull(0, 1)).epoch, (await hub.pull(0, 1)).run], [before.epoch, before.run])
      await place.restart()
      const anew = await hub.pull(0, 1)
      assert.equal(anew.epoch, before.epoch)
      assert.notEqual(anew.run, before.run)
      assert.equal(anew.writes.length, 1)
      await place.empty()
      const emptied = await hub.pull(0, 1)
      assert.notEqual(emptied.epoch, before.epoch)
      assert.deepEqual([emptied.version, emptied.writes.length], [0, 0])
    })
  })
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Script, type StoreLink, StoreUnavailable } from '../../src/cluster/store-link.ts'

/** Counts up. KEYS: one. ARGV: how much. */
export const COUNT: Script = {
  name: 'countForContract',
  keys: 1,
  lua: "return {redis.call('INCRBY', KEYS[1], ARGV[1]), ARGV[2]}",
}

/** A store, and two replicas' links to it. */
export interface StoreLinkSubject extends AsyncDisposable {
  readonly one: StoreLink
  readonly two: StoreLink
  /** It goes, and keeps what it has. */
  stop(): Promise<void>
  start(): Promise<void>
  freeze(): void
  thaw(): void
}

/** What whoever talks to the store relies on. */
export function storeLinkContract(name: string, create: () => Promise<StoreLinkSubject>): void {
  describe(`the link to a store: ${name}`, { timeout: 60_000 }, () => {
    it('runs scripts, of which all links see what they did', async () => {
      await using subject = await create()
      const { one, two } = subject
      assert.equal(one.key('n'), two.key('n'))
      assert.notEqual(one.key('n'), one.key('m'))
      assert.deepEqual(await one.run(COUNT, [one.key('n')], [2, 'ä']), [2, 'ä'])
      assert.deepEqual(await two.run(COUNT, [two.key('n')], [3, 'b']), [5, 'b'])
    })

    it('brings what is published to who has subscribed there, and to nobody who listens no more', async () => {
      await using subject = await create()
      const { one, two } = subject
      const heard: string[] = []
      using _first = two.subscribe(two.key('news'), (message) => heard.push(`first ${message}`))
      const second = two.subscribe(two.key('news'), (message) => heard.push(`second ${message}`))
      using _other = two.subscribe(two.key('other'), (message) => heard.push(`other ${message}`))
      await published(one, 'a')
      await until(() => heard.length >= 2)
      assert.deepEqual(heard.splice(0), ['first a', 'second a'])
      second[Symbol.dispose]()
      await one.call('PUBLISH', one.key('news'), 'b')
      await until(() => heard.length > 0)
      assert.deepEqual(heard, ['first b'])
    })

    it('says when the store goes and when it is back, and then hears again', async () => {
      await using subject = await create()
      const { one, two } = subject
      const heard: string[] = []
      const changes: boolean[] = []
      using _listening = two.onChange((isUp) => changes.push(isUp))
      using _subscribed = two.subscribe(two.key('news'), (message) => heard.push(message))
      await subject.stop()
      await until(() => !one.isUp && !two.isUp)
      await assert.rejects(one.run(COUNT, [one.key('n')], [1, '']), StoreUnavailable)
      await assert.rejects(two.call('PUBLISH', two.key('news'), 'lost'), StoreUnavailable)
      await subject.start()
      await until(() => one.isUp && two.isUp)
      assert.deepEqual(changes, [false, true])
      await one.call('PUBLISH', one.key('news'), 'back')
      await until(() => heard.length > 0)
      assert.deepEqual(heard, ['back'])
    })

    it('lets nobody wait for a store that stands still', async () => {
      await using subject = await create()
      const { one } = subject
      subject.freeze()
      await assert.rejects(one.run(COUNT, [one.key('n')], [1, '']), StoreUnavailable)
      assert.equal(one.isUp, false)
      subject.thaw()
      await until(() => one.isUp)
      // What was given up may have happened.
      const answer = await one.run(COUNT, [one.key('n')], [1, ''])
      assert.ok(Array.isArray(answer) && (answer[0] === 1 || answer[0] === 2), String(answer))
    })
  })
}

/** As often as it takes: a subscription may still be on its way. */
async function published(link: StoreLink, message: string): Promise<void> {
  while ((await link.call('PUBLISH', link.key('news'), message)) === 0) await sleep(5)
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(5)
}

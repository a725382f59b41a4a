import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Member, Presence } from '../../src/cluster/presence.ts'
import type { StoreLink } from '../../src/cluster/store-link.ts'
import { ValkeyPresence } from '../../src/cluster/valkey-presence.ts'
import { FakeClock } from '../../src/lib/fake-clock.ts'
import type { Json } from '../../src/lib/json.ts'
import { seededRandom } from '../../src/lib/random.ts'
import { Seal } from '../../src/lib/seal.ts'

/** A store and links to it. What the replicas measure is `clock`; what travels may take real time. */
export interface PresencePlace extends AsyncDisposable {
  link(): Promise<StoreLink>
  /** Resolves once all that was said has been heard. */
  settled(): Promise<void>
  /** The store does not answer, and the links see that after a while; resolves once they do. */
  freeze(clock: FakeClock): Promise<void>
  /** Resolves once all links are up. */
  thaw(): Promise<void>
}

const SECRET = Buffer.alloc(32, 1)

export function presenceContract(name: string, create: (clock: FakeClock) => Promise<PresencePlace>): void {
  describe(`presence over ${name}`, { timeout: 60_000 }, () => {
    it('knows those who come at once, and those who say goodbye no more', async () => {
      await using world = await worldOf(create)
      const one = await world.join('gw1')
      assert.deepEqual(one.members(), [one.self])
      let changes = 0
      using _ = one.onChange(() => changes++)
      const two = await world.join('gw2')
      await world.advance(500)
      assert.deepEqual(one.members(), [one.self, two.self])
      assert.deepEqual(two.members(), [one.self, two.self])
      const same = one.members()
      await world.advance(5_000)
      assert.equal(one.members(), same)
      assert.equal(changes, 1)
      await two[Symbol.asyncDispose]()
      await world.place.settled()
      assert.deepEqual(one.members(), [one.self])
    })

    it('misses who is silent for 3 s, and greets it when it is back', async () => {
      await using world = await worldOf(create)
      const [one, two] = [await world.join('gw1'), await world.join('gw2')]
      await world.advance(1_000)
      world.hush('gw2')
      await world.advance(2_000)
      assert.equal(one.members().length, 2)
      await world.advance(2_000)
      assert.deepEqual(one.members(), [one.self])
      world.speak('gw2')
      await world.advance(1_000)
      assert.deepEqual(one.members(), [one.self, two.self])
    })

    it('misses nobody while the store is down, nor just after it', async () => {
      await using world = await worldOf(create)
      const [one, two, three] = [await world.join('gw1'), await world.join('gw2'), await world.join('gw3')]
      await world.advance(2_500)
      let changes = 0
      using _ = one.onChange(() => changes++)
      await world.place.freeze(world.clock)
      await world.clock.advance(60_000)
      await world.place.thaw()
      await world.advance(5_000)
      for (const each of [one, two, three]) assert.equal(each.members().length, 3)
      assert.equal(changes, 0)
    })

    it('passes what is reported with each beat, and at once what is told, to the others', async () => {
      await using world = await worldOf(create)
      const [one, two] = [await world.join('gw1'), await world.join('gw2')]
      await world.advance(1_000)
      const heard: [Member, Json][] = []
      using _one = one.onReport('load', (from, payload) => heard.push([from, payload]))
      using _two = two.onReport('load', () => assert.fail('it hears itself'))
      let load = 7
      using report = two.report('load', () => (load === 0 ? undefined : { load }))
      await world.advance(1_000)
      assert.deepEqual(heard.splice(0), [[two.self, { load: 7 }]])
      load = 0
      await world.advance(2_000)
      assert.deepEqual(heard, [])
      two.tell('load', ['at once'])
      two.tell('other', 1)
      await world.place.settled()
      assert.deepEqual(heard.splice(0), [[two.self, ['at once']]])
      load = 1
      report[Symbol.dispose]()
      await world.advance(2_000)
      assert.deepEqual(heard, [])
    })

    it('takes a restarted replica for another member, in the place of its former run', async () => {
      await using world = await worldOf(create)
      const one = await world.join('gw1')
      await world.join('gw2')
      await world.place.settled()
      world.hush('gw2')
      const again = await world.join('gw2', 2)
      await world.advance(1_000)
      assert.deepEqual(one.members(), [one.self, again.self])
      await world.advance(5_000)
      assert.deepEqual(one.members(), [one.self, again.self])
    })

    it('says that another has its name, once', async () => {
      await using world = await worldOf(create)
      const one = await world.join('gw1')
      const other = await world.join('gw1', 2)
      await world.advance(5_000)
      assert.deepEqual(one.members(), [one.self])
      assert.deepEqual(other.members(), [other.self])
      assert.deepEqual(world.namesakes.map(({ run }) => run).sort(), [one.self.run, other.self.run].sort())
    })

    it('hears nobody who has another secret, nor anything a second time', async () => {
      await using world = await worldOf(create)
      const one = await world.join('gw1')
      const link = await world.place.link()
      const said: string[] = []
      const channel = link.key('presence')
      using _ = link.subscribe(channel, (message) => said.push(message))
      const two = await world.join('gw2')
      await world.join('gw3', 1, Buffer.alloc(32, 2))
      await world.advance(1_000)
      assert.deepEqual(one.members(), [one.self, two.self])
      await two[Symbol.asyncDispose]()
      await world.place.settled()
      for (const message of ['', 'nonsense', '{}', ...said]) await link.call('PUBLISH', channel, message)
      await world.place.settled()
      assert.deepEqual(one.members(), [one.self])
      assert.ok(said.length > 3)
      for (const message of said) assert.ok(!Buffer.from(message, 'base64').includes('replica'))
    })
  })
}

async function worldOf(create: (clock: FakeClock) => Promise<PresencePlace>) {
  const clock = new FakeClock(1_000_000)
  const place = await create(clock)
  const joined: { readonly name: string; readonly presence: Presence }[] = []
  const silent = new Set<string>()
  const namesakes: Member[] = []
  const random = seededRandom(1)

  return {
    clock,
    place,
    namesakes,
    async join(replica: string, run = 1, secret = SECRET): Promise<Presence> {
      const link = await place.link()
      const name = `${replica}/${run}`
      const presence = new ValkeyPresence({
        link: {
          get isUp() {
            return link.isUp && !(silent.has(replica) && run === 1)
          },
          key: (key) => link.key(key),
          call: (command, ...args) => link.call(command, ...args),
          subscribe: (channel, listener) => link.subscribe(channel, listener),
        },
        seal: new Seal(secret, 'presence', random),
        clock,
        self: { replica, run: name, version: '1.0.0', startedAt: 1_000_000 + run },
        onError: (error) => {
          throw error
        },
        onNamesake: (other) => namesakes.push(other),
      })
      joined.push({ name, presence })
      await place.settled()
      return presence
    },
    /** As if it had been killed or stopped: it says nothing. */
    hush: (replica: string) => void silent.add(replica),
    speak: (replica: string) => void silent.delete(replica),
    async advance(ms: number): Promise<void> {
      for (let passed = 0; passed < ms; passed += 500) {
        await clock.advance(Math.min(500, ms - passed))
        await place.settled()
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(joined.map(({ presence }) => presence[Symbol.asyncDispose]()))
      await place[Symbol.asyncDispose]()
      assert.equal(clock.pending, 0, 'a timer is left')
    },
  }
}

import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { FakeClock } from '../lib/fake-clock.ts'
import type { Json } from '../lib/json.ts'
import { LwwRegisters, type Write } from './lww-registers.ts'
import { type MemoryHubLink, MemoryRegisterHub, type SavedHub } from './memory-register-hub.ts'
import type { NamedWrite } from './register-hub.ts'
import { SharedRegisters, type WriteJournal } from './shared-registers.ts'

/** Whatever happens to replicas and hub, all come to hold, of each register, the write with the highest stamp that anybody made. */

const never = new AbortController().signal
const START = Date.UTC(2026, 10, 26)
const HOUR_MS = 3_600_000
const REPLICAS = 3
const NAMES = ['mode', 'desired/tor01', 'desired/tor02', 'key/1']

/** What happens, in the order in which it does. `by`: which replica. */
type Deed =
  | {
      readonly what: 'set'
      readonly by: number
      readonly name: string
      readonly value: Json | undefined
      readonly rank: number
    }
  | { readonly what: 'cut' | 'mend' | 'lose-answer' | 'deafen'; readonly by: number }
  | { readonly what: 'crash'; readonly by: number; readonly skewMs: number }
  | { readonly what: 'wait'; readonly ms: number }
  | { readonly what: 'empty-hub' }
  | { readonly what: 'save-hub' | 'put-hub-back' }

const by = fc.nat(REPLICAS - 1)
const skewMs = fc.integer({ min: -12 * HOUR_MS, max: 12 * HOUR_MS })
const set = fc.record({
  ...{ what: fc.constant('set' as const), by, name: fc.constantFrom(...NAMES) },
  value: fc.oneof(fc.constant(undefined), fc.nat(99)),
  rank: fc.constantFrom(0, 0, 0, 1, 2),
})
const link = fc.record({ what: fc.constantFrom('cut', 'mend', 'lose-answer', 'deafen'), by })
const crash = fc.record({ what: fc.constant('crash' as const), by, skewMs })
const wait = fc.record({ what: fc.constant('wait' as const), ms: fc.constantFrom(1, 10, 30, 1_000, 6_000) })
const hubFault = fc.oneof(
  fc.record({ what: fc.constant('empty-hub' as const) }),
  fc.record({ what: fc.constantFrom('save-hub' as const, 'put-hub-back' as const) }),
)

const deeds = (...faults: readonly fc.Arbitrary<Deed>[]) =>
  fc.record({
    skews: fc.array(skewMs, { minLength: REPLICAS, maxLength: REPLICAS }),
    deeds: fc.array(fc.oneof(set, set, set, link, wait, ...faults) as fc.Arbitrary<Deed>, { maxLength: 40 }),
  })

it('converges to the highest stamp over cuts, lost answers, crashes and clocks that are hours apart', async () => {
  await fc.assert(
    fc.asyncProperty(deeds(crash), async (story) => await play(story)),
    { numRuns: 150 },
  )
})

it('converges likewise when the hub is emptied, or put back to before what it has acknowledged', async () => {
  await fc.assert(
    fc.asyncProperty(deeds(hubFault), async (story) => await play(story)),
    { numRuns: 150 },
  )
})

async function play({
  skews,
  deeds,
}: {
  readonly skews: readonly number[]
  readonly deeds: readonly Deed[]
}): Promise<void> {
  const world = new World()
  for (const skew of skews) await world.join(skew)
  for (const deed of deeds) await world.do(deed)
  await world.settle()
}

/** What one replica has, beyond its crashes: its journal. */
interface Place {
  registers: SharedRegisters
  clock: FakeClock
  link: MemoryHubLink
  readonly unsent: Map<string, Write>
}

class World {
  /** Of the hub. */
  readonly #time = new FakeClock(START)
  readonly #hub = new MemoryRegisterHub(() => this.#time.now())
  readonly #places: Place[] = []
  /** All that was ever written, by anybody. */
  readonly #model = new LwwRegisters()
  #saved: SavedHub | undefined
  #runs = 0

  async join(skewMs: number): Promise<void> {
    const unsent = new Map<string, Write>()
    this.#places.push({ unsent, ...(await this.#open(unsent, skewMs)) })
  }

  async do(deed: Deed): Promise<void> {
    switch (deed.what) {
      case 'set':
        this.#at(deed.by).registers.set(deed.name, deed.value, { rank: deed.rank })
        assert.deepEqual(this.#at(deed.by).registers.get(deed.name), deed.value)
        return
      case 'cut':
        return this.#at(deed.by).link.cut()
      case 'mend':
        return this.#at(deed.by).link.mend()
      case 'lose-answer':
        this.#at(deed.by).link.losesNextAnswer = true
        return
      case 'deafen':
        this.#at(deed.by).link.isDeaf = true
        return
      case 'crash':
        return await this.#crash(this.#at(deed.by), deed.skewMs)
      case 'wait':
        return await this.#wait(deed.ms)
      case 'empty-hub':
        this.#saved = undefined
        return this.#hub.lose()
      case 'save-hub':
        this.#saved = this.#hub.save()
        return
      case 'put-hub-back':
        return this.#hub.restart(this.#saved)
    }
  }

  /** Everybody reaches the hub again. */
  async settle(): Promise<void> {
    for (const { link } of this.#places) link.mend()
    for (let n = 0; n < 4; n++) await this.#wait(6_000)
    const expected = NAMES.map((name) => this.#model.find(name)?.value)
    for (const { registers, unsent } of this.#places) {
      assert.deepEqual(
        NAMES.map((name) => registers.get(name)),
        expected,
      )
      assert.deepEqual([registers.pending, unsent.size], [0, 0])
    }
    const kept = new Map(this.#hub.page(0, 100).writes)
    for (const name of NAMES) assert.deepEqual(kept.get(name)?.stamp, this.#model.find(name)?.stamp)
    for (const place of this.#places) await place.registers[Symbol.asyncDispose]()
  }

  /** What it did not tell the hub is in its journal alone, and its clock is another one. */
  async #crash(place: Place, skewMs: number): Promise<void> {
    place.link.cut()
    await place.registers[Symbol.asyncDispose]()
    Object.assign(place, await this.#open(place.unsent, skewMs))
  }

  async #open(unsent: Map<string, Write>, skewMs: number) {
    const clock = new FakeClock(this.#time.now() + skewMs)
    const link = this.#hub.link()
    const onError = (error: unknown) => assert.fail(String(error))
    const journal: WriteJournal = {
      unsent: (): Iterable<NamedWrite> => [...unsent],
      keep: (name, write) => {
        unsent.set(name, write)
        this.#model.take(name, write, 0)
      },
      forget: (name) => void unsent.delete(name),
    }
    const run = `run${this.#runs++}`
    return { clock, link, registers: await SharedRegisters.open({ hub: link, clock, run, journal, onError }, never) }
  }

  async #wait(ms: number): Promise<void> {
    await this.#time.advance(ms)
    for (const { clock } of this.#places) await clock.advance(ms)
  }

  #at(index: number): Place {
    const place = this.#places[index]
    assert.ok(place)
    return place
  }
}

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { FakeClock } from '../lib/fake-clock.ts'
import type { Write } from './lww-registers.ts'
import { type MemoryHubLink, MemoryRegisterHub } from './memory-register-hub.ts'
import type { RegisterChange } from './registers.ts'
import { SharedRegisters, type WriteJournal } from './shared-registers.ts'

const never = new AbortController().signal
const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

it('goes on with a journal that cannot be written', async () => {
  const clock = new FakeClock()
  const errors: unknown[] = []
  const fail = () => {
    throw new Error('the disk is full')
  }
  const hub = new MemoryRegisterHub(() => clock.now())
  const options = { clock, run: 'a', journal: { unsent: () => [], keep: fail, forget: fail }, hub: hub.link() }
  await using registers = await SharedRegisters.open({ ...options, onError: (error) => errors.push(error) }, never)
  registers.set('mode', 'sticky')
  await clock.advance(20)
  assert.deepEqual([registers.get('mode'), registers.pending, hub.page(0, 1).writes.length], ['sticky', 0, 1])
  assert.equal(errors.length, 2)
})

it('tells once of what fails again and again', async () => {
  const clock = new FakeClock()
  const errors: unknown[] = []
  const link = new MemoryRegisterHub(() => clock.now()).link()
  const options = { clock, run: 'a', hub: link, onError: (error: unknown) => errors.push(error) }
  await using registers = await SharedRegisters.open(options, never)
  const pull = link.pull.bind(link)
  link.pull = () => Promise.reject(new Error('no memory is left'))
  registers.set('mode', 'sticky')
  await clock.advance(20_000)
  assert.equal(errors.length, 1)
  link.pull = pull
  await clock.advance(2_000)
  assert.equal(registers.pending, 0)
})

it('hears others though it never ceases to write', async () => {
  await using pool = await twoReplicas()
  const { clock, a, b } = pool
  const push = a.link.push.bind(a.link)
  a.link.push = async (writes) => {
    if (a.registers.get('mode') === undefined) a.registers.set('restless', 1)
    return await push(writes)
  }
  a.registers.set('restless', 0)
  b.registers.set('mode', 'sticky')
  await clock.advance(40)
  assert.equal(a.registers.get('mode'), 'sticky')
})

/** Days pass in one step: whoever looks every 5 s does not have to. */
class SkippingClock extends FakeClock {
  #skipped = 0

  async skip(ms: number): Promise<void> {
    this.#skipped += ms
    await this.advance(120_000)
  }

  override now(): number {
    return super.now() + this.#skipped
  }

  override monotonic(): number {
    return this.now()
  }
}

interface Replica extends AsyncDisposable {
  readonly registers: SharedRegisters
  readonly link: MemoryHubLink
  readonly changes: RegisterChange[]
}

async function twoReplicas() {
  const clock = new SkippingClock(Date.UTC(2026, 10, 26))
  const hub = new MemoryRegisterHub(() => clock.now())
  const stack = new AsyncDisposableStack()
  async function join(run: string, own: FakeClock = clock): Promise<Replica> {
    const link = hub.link()
    const onError = (error: unknown) => assert.fail(String(error))
    const registers = stack.use(await SharedRegisters.open({ hub: link, clock: own, run, onError }, never))
    const changes: RegisterChange[] = []
    registers.onChange((change) => changes.push(change))
    return { registers, link, changes, [Symbol.asyncDispose]: () => registers[Symbol.asyncDispose]() }
  }
  const [a, b] = [await join('a'), await join('b')]
  return { clock, hub, a, b, join, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

it('holds a write at once, and elsewhere in the blink of an eye', async () => {
  await using pool = await twoReplicas()
  const { clock, a, b } = pool
  a.registers.set('mode', 'sticky')
  assert.equal(a.registers.get('mode'), 'sticky')
  assert.equal(a.registers.pending, 1)
  await clock.advance(20)
  assert.equal(a.registers.pending, 0)
  assert.equal(b.registers.get('mode'), 'sticky')
  assert.deepEqual([a.changes, b.changes], [[], [{ name: 'mode', value: 'sticky' }]])
  b.registers.set('mode', undefined)
  await clock.advance(20)
  assert.equal(a.registers.get('mode'), undefined)
  assert.deepEqual(a.changes, [{ name: 'mode', value: undefined }])
  assert.deepEqual([...a.registers.entries('mode')], [])
})

it('lists what there is of a kind', async () => {
  await using pool = await twoReplicas()
  const { a } = pool
  a.registers.set('desired/a', 1)
  a.registers.set('desired/b', 2)
  a.registers.set('desired/b', undefined)
  a.registers.set('desire', 3)
  assert.deepEqual([...a.registers.entries('desired')], [['desired/a', 1]])
})

it('goes on without the hub, keeps one write of a name, and tells it when the hub is back', async () => {
  await using pool = await twoReplicas()
  const { clock, a, b } = pool
  a.link.cut()
  for (let n = 0; n < 100; n++) a.registers.set('mode', n)
  b.registers.set('other', 1)
  await clock.advance(60_000)
  assert.deepEqual([a.registers.pending, a.registers.get('mode'), a.registers.get('other')], [1, 99, undefined])
  assert.equal(b.registers.get('mode'), undefined)
  a.link.mend()
  await clock.advance(20)
  assert.deepEqual([a.registers.pending, b.registers.get('mode'), a.registers.get('other')], [0, 99, 1])
})

it('finds out within 5 s what it was not told', async () => {
  await using pool = await twoReplicas()
  const { clock, a, b } = pool
  b.link.isDeaf = true
  a.registers.set('mode', 'sticky')
  await clock.advance(5_100)
  assert.equal(b.registers.get('mode'), 'sticky')
})

it('tells a write again whose answer was lost, and that changes nothing', async () => {
  await using pool = await twoReplicas()
  const { clock, a, b } = pool
  a.link.losesNextAnswer = true
  a.registers.set('mode', 'sticky')
  await clock.advance(20)
  assert.equal(a.registers.pending, 1)
  b.registers.set('mode', 'random')
  await clock.advance(1_100)
  assert.deepEqual([a.registers.pending, a.registers.get('mode'), b.registers.get('mode')], [0, 'random', 'random'])
})

it('lets an order of an operator go before a thousand sessions', async () => {
  await using pool = await twoReplicas()
  const { clock, a } = pool
  const batches: string[][] = []
  const push = a.link.push.bind(a.link)
  a.link.push = async (writes) => {
    batches.push(writes.map(([name]) => name))
    return await push(writes)
  }
  a.link.cut()
  for (let n = 0; n < 1_000; n++) a.registers.set(`session/${n}`, n)
  a.registers.set('mode', 'sticky')
  a.link.mend()
  await clock.advance(20)
  assert.ok(batches.length > 1 && batches[0]?.includes('mode'))
  assert.equal(a.registers.pending, 0)
  assert.equal(new Set(batches.flat()).size, 1_001)
})

it('is told of nothing that it has written itself', async () => {
  await using pool = await twoReplicas()
  const { clock, hub, a } = pool
  a.link.losesNextAnswer = true
  a.registers.set('mode', 'sticky')
  await clock.advance(6_000)
  hub.restart()
  await clock.advance(6_000)
  assert.deepEqual(a.changes, [])
})

it('does not take for told what was set while the hub was told of what it had before', async () => {
  await using pool = await twoReplicas()
  const { clock, a, b } = pool
  const { link, registers } = a
  const push = link.push.bind(link)
  link.push = async (writes) => {
    const taken = await push(writes)
    if (registers.get('mode') === 'first') registers.set('mode', 'second')
    return taken
  }
  registers.set('mode', 'first')
  await clock.advance(40)
  assert.equal(b.registers.get('mode'), 'second')
})

it('asks at once when it finds that others have written', async () => {
  await using pool = await twoReplicas()
  const { clock, a, b } = pool
  b.link.isDeaf = true
  a.registers.set('mode', 'sticky')
  await clock.advance(20)
  b.registers.set('other', 1)
  await clock.advance(20)
  assert.equal(b.registers.get('mode'), 'sticky')
})

it('takes nothing that has no stamp at all', async () => {
  await using pool = await twoReplicas()
  const { clock, hub, a } = pool
  a.registers.set('mode', 'sticky')
  await clock.advance(20)
  for (const stamp of ['', 'zzzz', 'f'.repeat(40)])
    await hub.link().push([['mode', { stamp, value: 1, until: undefined }]])
  await clock.advance(20)
  assert.equal(a.registers.get('mode'), 'sticky')
})

it('gives a hub that was emptied all that it has, however long ago it saw it', async () => {
  await using pool = await twoReplicas()
  const { clock, hub, a } = pool
  a.registers.set('key/1', 1)
  await clock.advance(20)
  hub.lose()
  a.link.cut()
  await clock.skip(8 * DAY_MS)
  a.link.mend()
  await clock.advance(20)
  assert.deepEqual(
    hub.page(0, 10).writes.map(([name]) => name),
    ['key/1'],
  )
})

it('lets the last write win, not that of the clock that is ahead', async () => {
  await using pool = await twoReplicas()
  const { clock, a } = pool
  const ahead = new FakeClock(clock.now() + 5 * HOUR_MS)
  const c = await pool.join('c', ahead)
  for (const { link } of [a, c]) link.cut()
  c.registers.set('mode', 'of the clock that is ahead')
  await clock.advance(1_000)
  await ahead.advance(1_000)
  a.registers.set('mode', 'last')
  for (const { link } of [a, c]) link.mend()
  for (const each of [clock, ahead]) await each.advance(10_000)
  for (const { registers } of [a, c]) assert.equal(registers.get('mode'), 'last')
})

it('lets a higher rank win over what was written later by who did not know of it', async () => {
  await using pool = await twoReplicas()
  const { clock, a, b } = pool
  a.link.cut()
  b.registers.set('session/x', 'rotated', { rank: 2 })
  await clock.advance(1_000)
  a.registers.set('session/x', 'used', { rank: 1 })
  a.link.mend()
  await clock.advance(6_000)
  for (const { registers } of [a, b]) assert.equal(registers.get('session/x'), 'rotated')
  a.registers.set('session/x', 'set by who knows', { rank: 1 })
  await clock.advance(6_000)
  for (const { registers } of [a, b]) assert.equal(registers.get('session/x'), 'set by who knows')
})

it('keeps, and passes on to a hub that was emptied, what it knows nothing of', async () => {
  await using pool = await twoReplicas()
  const { clock, hub, a, b } = pool
  const later = { mode: 'a mode of later', with: { more: ['fields'] } }
  a.registers.set('mode', later)
  a.registers.set('kind-of-later/1', 'value')
  await clock.advance(20)
  await a[Symbol.asyncDispose]()
  hub.lose()
  await clock.advance(6_000)
  const c = await pool.join('c')
  assert.deepEqual(c.registers.get('mode'), later)
  assert.equal(c.registers.get('kind-of-later/1'), 'value')
  assert.equal(b.registers.pending, 0)
})

it('tells a hub that runs anew what it has lost of what it had acknowledged', async () => {
  await using pool = await twoReplicas()
  const { clock, hub, a, b } = pool
  a.registers.set('old', 1)
  await clock.advance(20)
  const saved = hub.save()
  a.registers.set('mode', 'sticky')
  a.registers.set('old', undefined)
  await clock.advance(20)
  hub.restart(saved)
  // Those who are told of nothing have the same version again soon.
  for (const n of [1, 2, 3]) b.registers.set(`more/${n}`, n)
  await clock.advance(6_000)
  const c = await pool.join('c')
  assert.deepEqual(
    [c.registers.get('mode'), c.registers.get('old'), c.registers.get('more/3')],
    ['sticky', undefined, 3],
  )
})

it('tells it also when others have written so much since that its version shows nothing', async () => {
  await using pool = await twoReplicas()
  const { clock, hub, a, b } = pool
  const saved = hub.save()
  a.registers.set('mode', 'sticky')
  await clock.advance(20)
  for (const { link } of [a, b]) link.cut()
  hub.restart(saved)
  const c = await pool.join('c')
  for (const n of [1, 2, 3]) c.registers.set(`more/${n}`, n)
  await clock.advance(20)
  a.link.mend()
  await clock.advance(20)
  assert.equal(c.registers.get('mode'), 'sticky')
})

it('does not bring back what was removed while it was away, however long that was', async () => {
  for (const awayMs of [HOUR_MS, 8 * DAY_MS]) {
    await using pool = await twoReplicas()
    const { clock, a, b } = pool
    a.registers.set('key/1', 'revoked soon')
    a.registers.set('key/2', 'stays')
    await clock.advance(20)
    b.link.cut()
    b.registers.set('key/3', 'not told yet')
    a.registers.set('key/1', undefined)
    await clock.advance(20)
    // The hub forgets that it was removed, and so does who has removed it.
    await clock.skip(awayMs)
    b.link.mend()
    await clock.advance(6_000)
    for (const { registers } of [a, b]) {
      assert.equal(registers.get('key/1'), undefined)
      assert.deepEqual([registers.get('key/2'), registers.get('key/3')], ['stays', 'not told yet'])
    }
    assert.ok(b.changes.some(({ name, value }) => name === 'key/1' && value === undefined))
  }
})

it('forgets what is over, and that something was removed, in time', async () => {
  await using pool = await twoReplicas()
  const { clock, hub, a, b } = pool
  a.registers.set('session/x', 1, { until: clock.now() + 10_000, rank: 7 })
  a.registers.set('session/y', 1)
  await clock.advance(1_000)
  a.registers.set('session/y', undefined)
  await clock.advance(100_000)
  for (const { registers } of [a, b]) assert.equal(registers.get('session/x'), undefined)
  assert.equal(hub.page(0, 10).writes.length, 1)
  b.registers.set('session/x', 'anew', { rank: 0 })
  await clock.advance(20)
  assert.equal(a.registers.get('session/x'), 'anew')
  await clock.skip(8 * DAY_MS)
  assert.deepEqual(
    hub.page(0, 10).writes.map(([name]) => name),
    ['session/x'],
  )
})

it('waits for the hub when it opens, until it is told not to', async () => {
  const clock = new FakeClock()
  const hub = new MemoryRegisterHub(() => clock.now())
  const link = hub.link()
  link.cut()
  const onError = (error: unknown) => assert.fail(String(error))
  const opening = SharedRegisters.open({ hub: link, clock, run: 'a', onError }, never)
  await clock.advance(10_000)
  link.mend()
  await clock.advance(1_000)
  await (await opening)[Symbol.asyncDispose]()
  assert.equal(clock.pending, 0)
  const refused = SharedRegisters.open({ hub: link, clock, run: 'a', onError }, AbortSignal.abort(new Error('enough')))
  await assert.rejects(refused, /enough/)
  assert.equal(clock.pending, 0)
})

it('tells the hub the rest when it ends', async () => {
  await using pool = await twoReplicas()
  const { clock, a, b } = pool
  a.registers.set('mode', 'sticky')
  await a[Symbol.asyncDispose]()
  await clock.advance(100)
  assert.equal(b.registers.get('mode'), 'sticky')
})

it('takes on what was written in a run that crashed before the hub had it', async () => {
  await using pool = await twoReplicas()
  const { clock, hub, a } = pool
  const kept = new Map<string, Write>()
  const journal: WriteJournal = {
    unsent: () => [...kept],
    keep: (name, write) => void kept.set(name, write),
    forget: (name) => void kept.delete(name),
  }
  const options = { clock, journal, onError: (error: unknown) => assert.fail(String(error)) }
  const link = hub.link()
  await SharedRegisters.open({ ...options, hub: link, run: 'crashed' }, never).then((crashed) => {
    link.cut()
    crashed.set('mode', 'sticky')
    crashed.set('statistics', 1, { mayBeLost: true })
  })
  assert.deepEqual([...kept.keys()], ['mode'])
  await using _again = await SharedRegisters.open({ ...options, hub: hub.link(), run: 'again' }, never)
  await clock.advance(20)
  assert.equal(a.registers.get('mode'), 'sticky')
  assert.equal(a.registers.get('statistics'), undefined)
  assert.equal(kept.size, 0)
})

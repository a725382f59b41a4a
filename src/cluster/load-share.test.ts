import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Json } from '../lib/json.ts'
import type { LimitReport } from '../limits/limit-report.ts'
import { shareLoad } from './load-share.ts'
import type { Member } from './presence.ts'

it('tells with each beat what goes on, and hears the same', () => {
  const room = new Room()
  const [a, b] = [lab(room, 'gw1'), lab(room, 'gw2')]
  a.leases.set('gw1-tor01', 3)
  room.beat()
  assert.deepEqual(b.elsewhere, [['gw1', { 'gw1-tor01': 3 }]])
  assert.deepEqual(b.heard, [['gw1 run', { day: '2026-11-26', keys: [] }]])
  b.leases.set('gw1-tor01', 1)
  room.beat()
  assert.deepEqual(a.elsewhere.at(-1), ['gw2', { 'gw1-tor01': 1 }], 'its own worker')
})

it('has nothing left of a replica that is gone', () => {
  const room = new Room()
  const a = lab(room, 'gw1')
  lab(room, 'gw2')
  room.go('gw2')
  assert.deepEqual(a.elsewhere, [['gw2', undefined]])
  assert.deepEqual(a.heard, [['gw2 run', undefined]])
})

it('takes nothing for what it is not, and says nothing once it is over', () => {
  const room = new Room()
  const a = lab(room, 'gw1')
  for (const payload of [null, 7, [], { tor01: '3', tor02: -1, tor03: 1 }]) room.say('gw2', 'leases', payload)
  room.say('gw2', 'limits', { day: 1 })
  assert.deepEqual(
    a.elsewhere.map(([, leases]) => leases),
    [{}, {}, {}, { tor03: 1 }],
  )
  assert.deepEqual(a.heard, [])
  a.share[Symbol.dispose]()
  room.say('gw2', 'leases', { tor01: 1 })
  assert.equal(a.elsewhere.length, 4)
  assert.equal(room.reports.size, 0)
})

const member = (replica: string): Member => ({ replica, run: 'run', version: '1.0.0', startedAt: 0 })

/** Where everybody hears everything at once. */
class Room {
  members: readonly Member[] = []
  readonly reports = new Map<() => Json | undefined, readonly [replica: string, topic: string]>()
  readonly listeners = new Map<(from: Member, payload: Json) => void, readonly [replica: string, topic: string]>()
  readonly changes = new Set<() => void>()

  beat(): void {
    for (const [make, [replica, topic]] of this.reports) {
      const payload = make()
      if (payload !== undefined) this.say(replica, topic, JSON.parse(JSON.stringify(payload)))
    }
  }

  say(from: string, what: string, payload: Json): void {
    for (const [hear, [replica, topic]] of this.listeners)
      if (replica !== from && topic === what) hear(member(from), payload)
  }

  come(replica: string): void {
    this.members = [...this.members, member(replica)]
    for (const listener of this.changes) listener()
  }

  go(replica: string): void {
    this.members = this.members.filter((other) => other.replica !== replica)
    for (const listener of this.changes) listener()
  }
}

function lab(room: Room, replica: string) {
  room.come(replica)
  const add = <K, V>(map: Map<K, V>, key: K, value: V): Disposable => {
    map.set(key, value)
    return { [Symbol.dispose]: () => void map.delete(key) }
  }
  const leases = new Map<string, number>()
  const elsewhere: [string, Record<string, number> | undefined][] = []
  const heard: [string, LimitReport | undefined][] = []
  const share = shareLoad({
    presence: {
      members: () => room.members,
      onChange(listener) {
        room.changes.add(listener)
        return { [Symbol.dispose]: () => room.changes.delete(listener) }
      },
      report: (topic, make) => add(room.reports, make, [replica, topic]),
      onReport: (topic, listener) => add(room.listeners, listener, [replica, topic]),
    },
    pool: {
      leases: () => leases,
      setElsewhere: (from, counts) => elsewhere.push([from, counts && Object.fromEntries(counts)]),
    },
    limits: {
      report: () => ({ day: '2026-11-26', keys: [] }),
      hear: (teller, report) => heard.push([`${teller.replica} ${teller.run}`, report]),
    },
  })
  return { share, leases, elsewhere, heard }
}

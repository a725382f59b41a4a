import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseEvent } from '../tor/control/events/event.ts'
import { STORM_POLICY, StormFuse } from './storm-fuse.ts'

const HOP = `$${'A'.repeat(40)}~relay1`

/** So that the stories are short. */
const SHORT = { ...STORM_POLICY, maxForOne: 5 }

describe('StormFuse', () => {
  it('names the stream for which Tor builds a sixth circuit', () => {
    const told = replay(`
      0   STREAM 7 NEW alice
      5   CIRC 1 launched for alice
      10  CIRC 2 launched for alice
      15  CIRC 3 launched for alice
      20  CIRC 4 launched for alice
      25  CIRC 5 launched for alice
      30  CIRC 6 launched for alice`)
    assert.deepEqual(told, ['30: close 7 after 6 circuits in 30 ms'])
  })

  it('does not take it for a storm that a busy identity gets circuits for many streams', () => {
    const streams = Array.from({ length: 8 }, (_, n) => n + 1)
    const told = replay(`
      ${streams.map((n) => `0 STREAM ${n} NEW alice`).join('\n')}
      ${streams.map((n) => `${n * 10} CIRC ${n} launched for alice`).join('\n')}
      ${streams
        .slice(1)
        .map((n) => `${100 + n} STREAM ${n} SENTCONNECT`)
        .join('\n')}
      200 CIRC 9 launched for alice`)
    assert.deepEqual(told, [])
  })

  it('counts on while the stream tries one circuit after the other', () => {
    const told = replay(`
      0   STREAM 7 NEW alice
      ${[1, 2, 3, 4, 5, 6]
        .map((n) => `${n}00 CIRC ${n} launched for alice\n${n}50 STREAM 7 SENTCONNECT\n${n}60 STREAM 7 DETACHED`)
        .join('\n')}`)
    assert.deepEqual(told, ['600: close 7 after 6 circuits in 600 ms'])
  })

  it('names the oldest waiting stream when Tor does not say for whom it builds', () => {
    const launches = Array.from({ length: 15 }, (_, n) => `${n * 10 + 10} CIRC ${n} LAUNCHED`)
    const told = replay(`0 STREAM 7 NEW alice\n5 STREAM 8 NEW bob\n${launches.join('\n')}`)
    assert.deepEqual(told, ['150: close 7 after 15 circuits in 150 ms'])
  })

  it('leaves circuits alone that no stream waits for', () => {
    const launches = Array.from({ length: 50 }, (_, n) => `${n} CIRC ${n} LAUNCHED`)
    assert.deepEqual(replay(`0 STREAM 7 NEW alice\n0 STREAM 7 SENTCONNECT\n${launches.join('\n')}`), [])
  })

  it('forgives a few circuits for a stream that waits for long', () => {
    const slow = Array.from({ length: 20 }, (_, n) => `${n * 3}000 CIRC ${n} launched for alice`)
    assert.deepEqual(replay(`0 STREAM 7 NEW alice\n${slow.join('\n')}`), [])
  })

  it('leaves the circuits of onion services and of the directory alone', () => {
    const fuse = new StormFuse()
    handle(fuse, 'STREAM 7 NEW 0 a.onion:80 SOCKS_USERNAME="alice" PURPOSE=USER', 0)
    for (let n = 0; n < 20; n++) {
      for (const kind of ['PURPOSE=HS_CLIENT_REND', 'BUILD_FLAGS=IS_INTERNAL PURPOSE=GENERAL'])
        assert.equal(handle(fuse, `CIRC ${n} LAUNCHED ${kind}`, n), undefined)
    }
  })

  it('never takes many new identities at once for a storm, whatever their order', () => {
    const identity = fc.record({ from: fc.nat(2_000), circuits: fc.integer({ min: 1, max: 2 }), lasts: fc.nat(300) })
    fc.assert(
      fc.property(fc.array(identity, { maxLength: 80 }), (identities) => {
        const events = identities.flatMap(({ from, circuits, lasts }, n) => [
          { at: from, text: newStream(n, `user${n}`) },
          ...Array.from({ length: circuits }, (_, c) => `${n * 2 + c}`).flatMap((id) => [
            { at: from, text: `CIRC ${id} LAUNCHED PURPOSE=GENERAL` },
            { at: from + lasts / 2, text: extended(id, `user${n}`) },
          ]),
          { at: from + lasts, text: `STREAM ${n} SUCCEEDED 1 a.test:80` },
        ])
        const fuse = new StormFuse()
        const told = events.sort((a, b) => a.at - b.at).map(({ at, text }) => handle(fuse, text, at))
        assert.deepEqual(told.filter(Boolean), [])
      }),
    )
  })

  it('lets no stream have a circuit too many, and names nothing but streams that wait, once each', () => {
    const step = fc.record({
      kind: fc.constantFrom('NEW', 'DETACHED', 'SENTCONNECT', 'SUCCEEDED', 'CLOSED', 'circuit', 'circuit', 'circuit'),
      stream: fc.nat(5),
      ms: fc.nat(60),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const fuse = new StormFuse()
        /** Of the streams that Tor has: whether they wait, and when circuits were begun for them. */
        const streams = new Map<number, { isWaiting: boolean; claims: number[] }>()
        let now = 0
        let circuits = 0
        for (const { kind, stream, ms } of steps) {
          now += ms
          const known = streams.get(stream)
          const texts: string[] = []
          if (kind === 'NEW' && !known) {
            streams.set(stream, { isWaiting: true, claims: [] })
            texts.push(newStream(stream, `user${stream}`))
          } else if (kind === 'circuit' && known?.isWaiting) {
            known.claims.push(now)
            texts.push(`CIRC ${++circuits} LAUNCHED PURPOSE=GENERAL`, extended(circuits, `user${stream}`))
          } else if (kind !== 'circuit' && known) {
            known.isWaiting = kind === 'DETACHED'
            if (kind === 'SUCCEEDED' || kind === 'CLOSED') streams.delete(stream)
            texts.push(`STREAM ${stream} ${kind} 1 a.test:80`)
          }
          for (const text of texts) {
            const storm = handle(fuse, text, now)
            if (storm === undefined) continue
            const named = streams.get(Number(storm.streamId))
            assert.ok(named?.isWaiting, `${storm.streamId} is there and waits`)
            streams.delete(Number(storm.streamId))
          }
          const { maxForOne, oneWindowMs } = STORM_POLICY
          for (const { isWaiting, claims } of streams.values())
            if (isWaiting) assert.ok(claims.filter((at) => at > now - oneWindowMs).length <= maxForOne)
        }
      }),
    )
  })

  it('does not blame the next stream of the same identity for the circuits of the last', () => {
    const circuits = Array.from({ length: 7 }, (_, n) => `${n}0 CIRC ${n} launched for alice`)
    const told = replay(
      `0 STREAM 7 NEW alice\n0 STREAM 8 NEW alice\n${circuits.join('\n')}\n70 CIRC 9 launched for alice`,
    )
    assert.deepEqual(told, ['60: close 7 after 7 circuits in 60 ms'])
  })

  it('stops one storm after the other', () => {
    const fuse = new StormFuse(SHORT)
    let circuits = 0
    for (let stream = 0; stream < 50; stream++) {
      const at = stream * 2_000
      handle(fuse, newStream(stream, 'alice'), at)
      let launched = 0
      for (let stopped = false; !stopped; ) {
        launched++
        handle(fuse, `CIRC ${++circuits} LAUNCHED PURPOSE=GENERAL`, at)
        stopped = handle(fuse, extended(circuits, 'alice'), at) !== undefined
      }
      assert.equal(launched, SHORT.maxForOne + 1)
    }
  })
})

function newStream(id: number, user: string): string {
  return `STREAM ${id} NEW 0 a.test:80 SOCKS_USERNAME="${user}" PURPOSE=USER`
}

/** The first event that says for whom the circuit is. */
function extended(id: string | number | undefined, user: string): string {
  return `CIRC ${id} EXTENDED ${HOP} PURPOSE=GENERAL SOCKS_USERNAME="${user}"`
}

function handle(fuse: StormFuse, text: string, now: number) {
  return fuse.handle(parseEvent([{ code: 650, text, data: undefined }]), now)
}

/** Replays `<ms> <event>` lines in a short form, and tells what the fuse said. */
function replay(transcript: string): string[] {
  const fuse = new StormFuse(SHORT)
  return transcript
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [, at = '0', kind, id, status = '', who = ''] =
        /^(\d+)\s+(\w+) (\w+) (launched for|\w+) ?(\w*)$/.exec(line.trim()) ?? []
      const texts =
        kind === 'STREAM'
          ? [status === 'NEW' ? newStream(Number(id), who) : `STREAM ${id} ${status} 1 a.test:80`]
          : [`CIRC ${id} LAUNCHED PURPOSE=GENERAL`]
      if (status === 'launched for') texts.push(extended(id, who))
      const storms = texts.map((text) => handle(fuse, text, Number(at)))
      return storms
        .filter((storm) => storm !== undefined)
        .map(({ streamId, circuits, ms }) => `${at}: close ${streamId} after ${circuits} circuits in ${ms} ms`)
    })
}

import { MODES } from '../../src/domain/exchange.ts'
import { HEALTH_EVENTS, type Health, step } from '../../src/health/machine.ts'
import { DEFAULT_POLICY } from '../../src/health/policy.ts'
import { FakeClock } from '../../src/lib/fake-clock.ts'
import type { Handshake } from '../../src/lib/handshake.ts'
import { seededRandom } from '../../src/lib/random.ts'
import { Pool } from '../../src/pool/pool.ts'
import { ask } from '../../src/tor/socks/handshake.ts'
import { type Case, inTurns } from '../lib/case.ts'
import type { Figure } from '../lib/figures.ts'

const BATCH = 2_000
const WORKERS = [4, 100, 1_000]

/** Single steps, in this process and without IO. */
export const micro: Case = {
  name: 'micro',
  title: 'Single steps, without IO',
  async run(_stages, { rounds, time }, say) {
    say('micro')
    const steps: (readonly [variant: string, contestant: string, once: (n: number) => unknown])[] = [
      ...WORKERS.flatMap((count) => {
        const pool = poolOf(count)
        return MODES.map(
          (mode) =>
            [
              `pool: a lease and its end, ${count} workers`,
              mode,
              (n: number) => pool.acquire({ key: `site${n % 500}.test`, mode })[Symbol.dispose](),
            ] as const,
        )
      }),
      [
        'health: one step',
        'probe-passed of a healthy worker',
        () => step({ status: 'healthy', fails: 0 }, 'probe-passed', 0, DEFAULT_POLICY),
      ],
      ['health: one step', 'every event in turn', everyEvent()],
      ['SOCKS5: a handshake with a user name', 'our end', () => shakeHands()],
    ]
    const turns = await inTurns(rounds + 2, steps, async ([, , once]) => nanoseconds(once, time))
    return [...turns].map(
      ([[variant, contestant], values]): Figure => ({ case: 'micro', variant, contestant, unit: 'ns', values }),
    )
  },
}

function poolOf(count: number): Pool<{ readonly name: { readonly id: string; readonly n: number } }> {
  const members = Array.from({ length: count }, (_, index) => ({ name: { id: `tor${index + 1}`, n: index + 1 } }))
  const pool = new Pool(members, { clock: new FakeClock(), random: seededRandom(1), desired: new Map() })
  for (const { name } of members) pool.setHealth(name.id, 'healthy')
  return pool
}

function everyEvent(): (n: number) => void {
  let health: Health = { status: 'healthy', fails: 0 }
  return (n) => {
    health = step(health, HEALTH_EVENTS[n % HEALTH_EVENTS.length] ?? 'due', n, DEFAULT_POLICY).health
  }
}

/** What Tor answers: the method, that the name is good, that the stream stands. */
const ANSWERS = Buffer.from('05020100050000010000000000 00'.replaceAll(' ', ''), 'hex')

function shakeHands(): string {
  const command = { command: 'connect', host: 'www.example.com', port: 443 } as const
  const handshake: Handshake<string> = ask({ username: '0123456789abcdef0123456789abcdef', password: 'x' }, command)
  let at = 0
  let next = handshake.next()
  while (!next.done) {
    if (next.value.type === 'write') next = handshake.next()
    else {
      at += next.value.count
      next = handshake.next(ANSWERS.subarray(at - next.value.count, at))
    }
  }
  return next.value
}

/** Of one call, over some 100 ms. */
function nanoseconds(once: (n: number) => unknown, time: number): number {
  let count = 0
  const from = performance.now()
  while (performance.now() - from < 100 * time) for (let n = 0; n < BATCH; n++) once(count++)
  return ((performance.now() - from) * 1e6) / count
}

import assert from 'node:assert/strict'
import { codeOf } from '../../src/domain/errors.ts'
import type { ExitDemand, Identity } from '../../src/domain/identity.ts'
import type { Target } from '../../src/domain/worker.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { DriverEvent, WorkerDriver } from '../../src/workers/driver.ts'

/** What has not come by then is taken for hanging. */
const HANGS_AFTER_MS = 200

/** What has been closed at one end is closed at the other by then. */
const TOLD_WITHIN_MS = 5_000

export const never = new AbortController().signal

/** A driver that is not started yet, and what the suite needs to know of the world around it. */
export interface DriverSubject extends AsyncDisposable {
  readonly driver: WorkerDriver
  /** Answers `GET /ip HTTP/1.0` with a status line of HTTP/1.x and closes. */
  readonly target: Target
  readonly refused: Target
  readonly unknown: Target
  readonly onion: Target
  /** No exit takes it. */
  readonly exitless: Target
  readonly exitNicknames: readonly string[]
  /** The nickname of the only exit of each country. The driver is content with one exit of one family. */
  readonly exitIn: Readonly<Record<string, string>>
  /** Whether its Tor answers questions for addresses by itself (AutomapHostsOnResolve), so that no exit can be asked. */
  readonly makesUpAddresses?: true
  /**
   * Whose the Tor is. `ours`, unless told: it is there while the driver wants it. `tended`: the driver starts and stops it, and
   * leaves it as it is when disposed of. `foreign`: the driver uses it, and lets go of it.
   */
  readonly tenure?: 'ours' | 'tended' | 'foreign'
  /** Ends the worker from outside, as a crash would. */
  crash(): void | Promise<void>
  /** Has the worker hang, as SIGSTOP does; and go on. */
  freeze(): void | Promise<void>
  thaw(): void | Promise<void>
  /** Does what whoever runs a foreign Tor has to do, so that it is up and as it should be. Resolves when it can be turned to. */
  revive?(): Promise<void>
  /** Makes all relays unreachable for the worker, without a word; and reachable again. Undefined where that cannot be. */
  readonly blackhole?: (on: boolean) => Promise<void>
  /** Has Tor stop keeping identities apart. */
  loseIsolation(): Promise<void>
  /** What it then says that it misses; the fields of SOCKS unless told. */
  readonly isolatedBy?: readonly string[]
  /** Whether anything of the worker still runs. */
  isAlive(): boolean | Promise<boolean>
  /** How many connections the driver has to Tor. Undefined where nobody can count them. */
  connections?(): number
}

export async function started(create: () => Promise<DriverSubject>): Promise<DriverSubject> {
  const subject = await create()
  try {
    await subject.driver.start(never)
  } catch (error) {
    await subject[Symbol.asyncDispose]()
    throw error
  }
  return subject
}

/** Asserts that the driver has left nothing of its own behind, and has left alone what is not its own. */
export async function assertLeft(subject: DriverSubject, how: 'stopped' | 'disposed of'): Promise<void> {
  const { tenure = 'ours' } = subject
  const goesOn = tenure === 'foreign' || (tenure === 'tended' && how === 'disposed of')
  assert.equal(await subject.isAlive(), goesOn, `a Tor that is ${tenure} ${goesOn ? 'goes on' : 'is gone'}`)
  const end = systemClock.monotonic() + TOLD_WITHIN_MS
  while (subject.connections?.() && systemClock.monotonic() < end) await systemClock.sleep(5)
  assert.equal(subject.connections?.() ?? 0, 0)
}

/** What it tells from now on, but for the progress of its bootstrap. */
export function eventsOf(driver: WorkerDriver): DriverEvent[] {
  const events: DriverEvent[] = []
  driver.onEvent((event) => event.type !== 'progressed' && events.push(event))
  return events
}

/** Whether it settles in the time in which one that works would have done so many times over. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const settled = promise.then(
    () => true,
    () => true,
  )
  return await Promise.race([settled, systemClock.sleep(HANGS_AFTER_MS).then(() => false)])
}

export function identity(name: string, exit?: Partial<ExitDemand>): Identity {
  const demand = exit && { exit: { excludeCountries: [], notBy: [], ...exit } }
  return { token: `contract-${name}`, isOneOff: false, keepsExit: false, ...demand }
}

/** The exits of a private network's countries. */
export function exitsByCountry(
  processes: readonly { readonly name: string; readonly role: string; readonly country: string }[],
): Readonly<Record<string, string>> {
  const exits = processes.filter(({ role }) => role === 'exit')
  return Object.fromEntries(exits.map(({ country, name }) => [country, name]))
}

export function hasCode(...codes: string[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(codes.includes(codeOf(error)), `${codeOf(error)} (${error}) is one of ${codes}`)
    return true
  }
}

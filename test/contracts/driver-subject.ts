import assert from 'node:assert/strict'
import { codeOf } from '../../src/domain/errors.ts'
import type { Identity } from '../../src/domain/identity.ts'
import type { Target } from '../../src/domain/worker.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { DriverEvent, WorkerDriver } from '../../src/workers/driver.ts'

/** What has not come by then is taken for hanging. */
const HANGS_AFTER_MS = 200

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
  /** Ends the worker from outside, as a crash would. */
  crash(): void
  /** Has the worker hang, as SIGSTOP does; and go on. */
  freeze(): void
  thaw(): void
  /** Makes all relays unreachable for the worker, without a word; and reachable again. Undefined where that cannot be. */
  readonly blackhole?: (on: boolean) => Promise<void>
  /** Has Tor stop keeping identities apart. */
  loseIsolation(): Promise<void>
  /** Whether anything of the worker still runs. */
  isAlive(): boolean
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

export function identity(name: string): Identity {
  return { token: `contract-${name}`, isOneOff: false, keepsExit: false }
}

export function hasCode(...codes: string[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(codes.includes(codeOf(error)), `${codeOf(error)} (${error}) is one of ${codes}`)
    return true
  }
}

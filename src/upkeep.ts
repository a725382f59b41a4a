import type { WorkerName } from './domain/worker.ts'
import type { Clock } from './lib/clock.ts'
import type { Pool } from './pool/pool.ts'

/** What upkeep needs of a worker. */
interface Kept {
  readonly name: WorkerName
  warmUp(signal: AbortSignal): Promise<void>
}

/** Builds circuits in every healthy worker now and then, so that one that nobody used for long is as quick as the others. */
export async function keepWarm(pool: Pool<Kept>, everyMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  for (;;) {
    await clock.sleep(everyMs, signal).catch(() => {})
    if (signal.aborted) return
    await Promise.all(healthy(pool).map(({ member }) => member.warmUp(signal).catch(() => {})))
  }
}

/** Orders new circuits for each worker once in `everyMs`, one worker at a time, so that the pool as a whole stays warm. */
export async function keepRotating(
  pool: Pool<Kept>,
  everyMs: number,
  newCircuits: (id: string) => { readonly acted: Promise<unknown> },
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (let turn = 0; ; turn++) {
    const workers = pool.entries()
    await clock.sleep(everyMs / workers.length, signal).catch(() => {})
    if (signal.aborted) return
    const next = workers[turn % workers.length]
    if (next === undefined || !healthy(pool).some(({ name }) => name.id === next.name.id)) continue
    await newCircuits(next.name.id).acted.catch(() => {})
  }
}

function healthy(pool: Pool<Kept>) {
  return pool.entries().filter(({ health, desired }) => health === 'healthy' && desired !== 'stopped')
}

export interface UpkeepPolicy {
  readonly warmEveryMs: number
  /** Undefined: never. */
  readonly rotateEveryMs: number | undefined
}

/** Both of them, until it is disposed. */
export class Upkeep implements AsyncDisposable {
  readonly #begin: (policy: UpkeepPolicy, signal: AbortSignal) => readonly Promise<void>[]
  #end = new AbortController()
  #going: readonly Promise<void>[]

  constructor(pool: Pool<Kept>, policy: UpkeepPolicy, newCircuits: Parameters<typeof keepRotating>[2], clock: Clock) {
    this.#begin = ({ warmEveryMs, rotateEveryMs }, signal) => [
      keepWarm(pool, warmEveryMs, clock, signal),
      ...(rotateEveryMs === undefined ? [] : [keepRotating(pool, rotateEveryMs, newCircuits, clock, signal)]),
    ]
    this.#going = this.#begin(policy, this.#end.signal)
  }

  /** Begins anew with other intervals. */
  reconfigure(policy: UpkeepPolicy): void {
    this.#end.abort()
    this.#end = new AbortController()
    this.#going = [...this.#going, ...this.#begin(policy, this.#end.signal)]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort()
    await Promise.all(this.#going)
  }
}

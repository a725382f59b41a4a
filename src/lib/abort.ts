import type { Clock } from './clock.ts'

/** A signal that aborts when one of several things happens. Dispose it when done. */
export interface Linked extends Disposable {
  readonly signal: AbortSignal
}

/** A signal that aborts with `reason()` after `ms` or with the parent's reason, whichever is first. */
export function deadline(clock: Clock, ms: number, parent: AbortSignal | undefined, reason: () => Error): Linked {
  const controller = new AbortController()
  const timer = clock.timer(ms, () => controller.abort(reason()))
  const unlink = parent && onAbort(parent, (why) => controller.abort(why))
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      timer[Symbol.dispose]()
      unlink?.[Symbol.dispose]()
    },
  }
}

/** A signal that aborts as the first of the two does. `AbortSignal.any` needs no disposal, and takes ten times as long. */
export function either(one: AbortSignal, other: AbortSignal): Linked {
  const controller = new AbortController()
  const abort = (reason: unknown) => controller.abort(reason)
  const [first, second] = [onAbort(one, abort), onAbort(other, abort)]
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      first[Symbol.dispose]()
      second[Symbol.dispose]()
    },
  }
}

const WAITING = Symbol('those who wait for the signal to abort')

type AwaitedSignal = AbortSignal & { [WAITING]?: AllWaiting }

/**
 * All who wait for one signal by `onAbort` share one listener of it. Node looks through all listeners of a signal at each that comes
 * or goes; and to the signal of what lives long, thousands of tunnels listen. It goes with the last of them: Node keeps a signal of
 * `AbortSignal.any` for ever while somebody listens to it.
 */
class AllWaiting {
  readonly #signal: AbortSignal
  readonly #all = new Set<Waiting>()

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  add(waiting: Waiting): void {
    if (this.#all.size === 0) this.#signal.addEventListener('abort', this, ONCE)
    this.#all.add(waiting)
  }

  remove(waiting: Waiting): void {
    if (this.#all.delete(waiting) && this.#all.size === 0) this.#signal.removeEventListener('abort', this)
  }

  handleEvent(): void {
    for (const each of this.#all) each.call(this.#signal.reason)
    this.#all.clear()
  }
}

class Waiting implements Disposable {
  readonly #all: AllWaiting
  readonly #listener: (reason: unknown) => void

  constructor(all: AllWaiting, listener: (reason: unknown) => void) {
    this.#all = all
    this.#listener = listener
    all.add(this)
  }

  /** As an event's target does, it lets no listener that throws keep the others from being called. */
  call(reason: unknown): void {
    try {
      this.#listener(reason)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }

  [Symbol.dispose](): void {
    this.#all.remove(this)
  }
}

const NOTHING: Disposable = { [Symbol.dispose]() {} }
const ONCE = { once: true }

/** Calls `listener` once with the signal's reason: at once if it is aborted already. Dispose it to stop listening. */
export function onAbort(signal: AwaitedSignal, listener: (reason: unknown) => void): Disposable {
  if (signal.aborted) {
    listener(signal.reason)
    return NOTHING
  }
  signal[WAITING] ??= new AllWaiting(signal)
  return new Waiting(signal[WAITING], listener)
}

/** Settles as `promise` does, or rejects with the signal's reason if that comes first. `promise` itself goes on. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  using _ = onAbort(signal, (reason) => aborted.reject(reason))
  return await Promise.race([promise, aborted.promise])
}

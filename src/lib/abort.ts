import type { Clock } from './clock.ts'

/** A signal that aborts with `reason()` after `ms` or with the parent's reason, whichever is first. Dispose it when done. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal
}

export function deadline(clock: Clock, ms: number, parent: AbortSignal | undefined, reason: () => Error): Deadline {
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

/** Calls `listener` once with the signal's reason: at once if it is aborted already. Dispose it to stop listening. */
export function onAbort(signal: AbortSignal, listener: (reason: unknown) => void): Disposable {
  if (signal.aborted) {
    listener(signal.reason)
    return { [Symbol.dispose]() {} }
  }
  const handle = () => listener(signal.reason)
  signal.addEventListener('abort', handle, { once: true })
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', handle) }
}

/** Settles as `promise` does, or rejects with the signal's reason if that comes first. `promise` itself goes on. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  using _ = onAbort(signal, (reason) => aborted.reject(reason))
  return await Promise.race([promise, aborted.promise])
}

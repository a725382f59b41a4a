/** Time, as a collaborator: the only way in which code outside `lib` learns the time or waits. */
export interface Clock {
  /** Wall-clock milliseconds since the epoch. For people and files; it may jump. */
  now(): number
  /** Milliseconds that never go back. For measuring and for deadlines. */
  monotonic(): number
  /** Resolves after `ms`, or 24 days; rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls `callback` once after `ms`, or 24 days, unless disposed before. Does not keep the process alive. */
  timer(ms: number, callback: () => void): Disposable
}

/** 24 days. Node takes what is longer for a millisecond. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
const timerMs = (ms: number) => Math.min(Math.max(0, ms), LONGEST_TIMER_MS)

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),

  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        clearTimeout(handle)
        reject(signal?.reason)
      }
      const handle = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }, timerMs(ms))
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  },

  timer(ms, callback) {
    const handle = setTimeout(callback, timerMs(ms))
    handle.unref()
    return { [Symbol.dispose]: () => clearTimeout(handle) }
  },
}

/** With `use-now.ts` the only files of the page that read the time or wait. */

/** Epoch milliseconds by this computer's clock. */
export function now(): number {
  return Date.now()
}

export function parseTime(iso: string): number {
  return Date.parse(iso)
}

/** Resolves after `ms`, or at once when `signal` aborts. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
    function done() {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
  })
}

/** Whether the page is in a tab that is shown. */
export function isSeen(): boolean {
  return !document.hidden
}

/** Calls `call` each time that the page comes to be shown or hidden, until what is returned is called. */
export function onSight(call: () => void): () => void {
  document.addEventListener('visibilitychange', call)
  return () => document.removeEventListener('visibilitychange', call)
}

/** Calls `call` every `ms` until what is returned is called. */
export function every(ms: number, call: () => void): () => void {
  const timer = setInterval(call, ms)
  return () => clearInterval(timer)
}

/** The time of day, with the date, as the reader writes it. */
export function clockTime(iso: string): string {
  return new Date(iso).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
}

/** `14:05` */
export function timeOfDay(at: number): string {
  const date = new Date(at)
  return [date.getHours(), date.getMinutes()].map((part) => String(part).padStart(2, '0')).join(':')
}

import { abortable, onAbort } from './abort.ts'

interface Run<T> {
  readonly promise: Promise<T>
  readonly controller: AbortController
  callers: number
}

/**
 * Work that is done once for all who ask for it at the same time. One caller's abort is that caller's alone, until it is the
 * last one: then the work is aborted, too.
 */
export class SharedRun<T> {
  readonly #work: (signal: AbortSignal) => Promise<T>
  #current: Run<T> | undefined

  constructor(work: (signal: AbortSignal) => Promise<T>) {
    this.#work = work
  }

  get isRunning(): boolean {
    return this.#current !== undefined
  }

  /**
   * Settles as the work does. Rejects with the signal's reason when aborted: at once if others still wait for the work, and
   * for the last caller when the work has cleaned up and rejected.
   */
  async join(signal: AbortSignal): Promise<T> {
    signal.throwIfAborted()
    // A run that was given up is still cleaning up; the next one begins when it has gone.
    while (this.#current?.controller.signal.aborted) await abortable(settled(this.#current.promise), signal)
    this.#current ??= this.#begin()
    const run = this.#current
    run.callers++
    const left = Promise.withResolvers<never>()
    using _ = onAbort(signal, (reason) => {
      run.callers--
      if (run.callers === 0) run.controller.abort(reason)
      else left.reject(reason)
    })
    return await Promise.race([run.promise, left.promise])
  }

  /** Aborts the work, if there is any, for all its callers and resolves once it has settled. */
  async cancel(reason: Error): Promise<void> {
    const run = this.#current
    run?.controller.abort(reason)
    if (run) await settled(run.promise)
  }

  #begin(): Run<T> {
    const controller = new AbortController()
    const promise = this.#work(controller.signal).finally(() => {
      this.#current = undefined
    })
    promise.catch(() => {})
    return { promise, controller, callers: 0 }
  }
}

async function settled(promise: Promise<unknown>): Promise<void> {
  await promise.catch(() => {})
}

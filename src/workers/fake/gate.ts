import { abortable } from '../../lib/abort.ts'

/** Something to wait for that may be taken back. */
export class Gate {
  #opening: PromiseWithResolvers<void> | undefined

  get isOpen(): boolean {
    return this.#opening === undefined
  }

  /** Resolves when it is open. Rejects with the signal's reason when aborted. */
  async pass(signal: AbortSignal): Promise<void> {
    if (this.#opening) await abortable(this.#opening.promise, signal)
  }

  open(): void {
    this.#opening?.resolve()
    this.#opening = undefined
  }

  close(): void {
    this.#opening ??= Promise.withResolvers()
  }
}

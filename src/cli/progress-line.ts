import type { TextOutput } from './parts.ts'

/** Progress that overwrites itself on a terminal, and is a line for each new text elsewhere. */
export class ProgressLine {
  readonly #out: TextOutput
  #last = ''

  constructor(out: TextOutput) {
    this.#out = out
  }

  /** `fraction`: 0 to 1. */
  show(fraction: number, text: string): void {
    if (this.#out.isTTY) {
      const filled = Math.round(Math.min(1, Math.max(0, fraction)) * 20)
      this.#out.write(`\r\x1b[K[${'#'.repeat(filled)}${'.'.repeat(20 - filled)}] ${text}`)
    } else if (text !== this.#last) {
      this.#out.write(`${text}\n`)
    }
    this.#last = text
  }

  /** Leaves the line as it is and goes on below it. */
  end(): void {
    if (this.#out.isTTY && this.#last !== '') this.#out.write('\r\x1b[K')
    this.#last = ''
  }
}

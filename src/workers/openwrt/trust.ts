import { SshError } from '../../ssh/errors.ts'

/** Whether the box is the one that was installed, by the host key that it shows. */
export class Trust {
  #isGiven = true
  #isTold = false

  get isGiven(): boolean {
    return this.#isGiven
  }

  /** What is wrong is to be told again, should it still be wrong. */
  begin(): void {
    this.#isTold = false
  }

  /** SSH worked: then the host key was the pinned one. Whether that is news. */
  confirm(): boolean {
    const isNews = !this.#isGiven
    this.#isGiven = true
    this.#isTold = false
    return isNews
  }

  /** Another one answers. Whether that is news; `isWanted`: whether anybody is to be told. */
  withdraw(isWanted: boolean): boolean {
    this.#isGiven = false
    const isNews = isWanted && !this.#isTold
    if (isNews) this.#isTold = true
    return isNews
  }
}

export function isUntrusted(error: unknown): boolean {
  return error instanceof SshError && error.fault === 'untrusted'
}

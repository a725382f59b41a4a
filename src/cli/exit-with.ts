/** Exit codes, as docs/cli.md has them. */
export const EXIT = {
  ok: 0,
  failed: 1,
  /** Another command line or configuration would be right, whatever the state of things. */
  usage: 2,
  /** The pool works, but not all of it. */
  degraded: 3,
  /** No service answers where one is said to be. */
  unreachable: 4,
  /** A fetch was not answered by its target, and the same one may be later. */
  retryable: 5,
  /** The shared store is not there, or is none that can be used. */
  store: 6,
  /** `fetch --fail`: the target answered with a status of 400 or more. As curl's. */
  refusedByTarget: 22,
  interrupted: 130,
} as const

/** Ends the program with an exit code of its own. Without a message the user has been told why. */
export class ExitWith extends Error {
  override readonly name = 'ExitWith'
  readonly exitCode: number

  constructor(exitCode: number, message = '') {
    super(message)
    this.exitCode = exitCode
  }
}

/** For what is wrong with a command line and shows only when it is carried out. */
export function usageError(message: string): ExitWith {
  return new ExitWith(EXIT.usage, message)
}

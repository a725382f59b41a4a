/** Identities that are remembered; beyond, the one that was not asked for longest is forgotten. */
const CAPACITY = 20_000
/** An identity gets another exit only for ports that its others refuse, or when they do not fit any more. */
const EXITS_EACH = 8

/** The exits that identities were given, so that each gets the same one again when its circuit is gone. */
export class ExitMemory {
  readonly #capacity: number
  /** The one that was not asked for longest is first. */
  readonly #byToken = new Map<string, readonly string[]>()

  constructor(capacity = CAPACITY) {
    this.#capacity = capacity
  }

  /** Fingerprints, in the order in which they were given. */
  of(token: string): readonly string[] {
    const exits = this.#byToken.get(token)
    if (exits === undefined) return []
    this.#byToken.delete(token)
    this.#byToken.set(token, exits)
    return exits
  }

  add(token: string, fingerprint: string): void {
    const exits = this.of(token)
    if (exits.includes(fingerprint)) return
    this.#byToken.set(token, [...exits, fingerprint].slice(-EXITS_EACH))
    const [oldest] = this.#byToken.keys()
    if (this.#byToken.size > this.#capacity && oldest !== undefined) this.#byToken.delete(oldest)
  }

  /** It does not reach that exit any more. */
  drop(token: string, fingerprint: string): void {
    const left = this.of(token).filter((each) => each !== fingerprint)
    if (left.length === 0) this.#byToken.delete(token)
    else this.#byToken.set(token, left)
  }

  forget(token: string): void {
    this.#byToken.delete(token)
  }
}

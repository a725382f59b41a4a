import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import { pickByBandwidth } from './exit-choice.ts'
import { ExitMemory } from './exit-memory.ts'
import type { ExitRelay } from './exit-relay.ts'

/** How long others are preferred to an exit that could not be reached, or does not take the port that its policy names. */
const AVOIDED_MS = { unreachable: 60_000, port: 600_000 } as const
const MAX_AVOIDED = 2_000

/** What an exit failed at: the port alone, or altogether. */
export type Failing = keyof typeof AVOIDED_MS

/**
 * Which of the exits that fit an identity gets: the one that it had, else one by bandwidth that has not just failed. What others met with
 * at an exit is no reason to leave it: a target that one identity asks for could drive all the others off their exits.
 */
export class ExitPreferences {
  readonly #clock: Clock
  readonly #random: Random
  readonly #memory = new ExitMemory()
  /** Until when, by whom (nobody: whoever has no exit yet), exit, and port if it is about that alone. */
  readonly #avoided = new Map<string, number>()

  constructor({ clock, random }: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = clock
    this.#random = random
  }

  /** Undefined when there is none. Two that ask at once for one identity get the same. */
  choose<T extends ExitRelay>(fitting: readonly T[], token: string, port: number): T | undefined {
    const kept = this.#memory
      .of(token)
      .filter((fingerprint) => !this.#isAvoided(token, fingerprint, port))
      .map((fingerprint) => fitting.find((exit) => exit.fingerprint === fingerprint))
      .find((exit) => exit !== undefined)
    if (kept !== undefined) return kept
    const promising = fitting.filter(({ fingerprint }) => !this.#isAvoided('', fingerprint, port))
    const chosen = pickByBandwidth(promising.length > 0 ? promising : fitting, this.#random)
    if (chosen !== undefined) this.#memory.add(token, chosen.fingerprint)
    return chosen
  }

  /** The identity has met with this at the exit. */
  failed({ fingerprint }: ExitRelay, token: string, port: number, failing: Failing): void {
    if (this.#avoided.size >= MAX_AVOIDED) this.#avoided.clear()
    const until = this.#clock.monotonic() + AVOIDED_MS[failing]
    for (const by of ['', token])
      this.#avoided.set(failing === 'port' ? keyOf(by, fingerprint, port) : keyOf(by, fingerprint), until)
    if (failing === 'unreachable') this.#memory.drop(token, fingerprint)
  }

  forget(token: string): void {
    this.#memory.forget(token)
  }

  #isAvoided(by: string, fingerprint: string, port: number): boolean {
    const now = this.#clock.monotonic()
    const keys = [keyOf(by, fingerprint), keyOf(by, fingerprint, port)]
    return keys.some((key) => (this.#avoided.get(key) ?? -Infinity) > now)
  }
}

function keyOf(by: string, fingerprint: string, port?: number): string {
  return `${by} ${fingerprint} ${port ?? ''}`
}

import type { Json } from '../lib/json.ts'
import { isInstant } from './hybrid-clock.ts'

/** One write of a register. Of two writes the one with the higher stamp holds, in whatever order they come. */
export interface Write {
  /** 8 hex digits of rank, then an instant of a `HybridClock`: texts compare as writes do. No two writes have the same. */
  readonly stamp: string
  /** Undefined: it removes the register. */
  readonly value: Json | undefined
  /** From then on (epoch ms) it is as if it had never been. */
  readonly until: number | undefined
}

const RANK_DIGITS = 8
const HIGHEST_RANK = 2 ** 32 - 1

/** `rank`: what counts before time does, such as the generation of a session, so that who has missed a rotation cannot undo it. */
export function stampOf(rank: number, instant: string): string {
  return Math.min(rank, HIGHEST_RANK).toString(16).padStart(RANK_DIGITS, '0') + instant
}

export function rankOf(stamp: string): number {
  return Number.parseInt(stamp.slice(0, RANK_DIGITS), 16)
}

export function instantOf(stamp: string): string {
  return stamp.slice(RANK_DIGITS)
}

/** Whether it is a stamp at all. All replicas agree on it, so that none keeps what another refuses. */
export function isStamp(text: string): boolean {
  return /^[0-9a-f]{8}/.test(text) && isInstant(instantOf(text))
}

export function isOver({ until }: Write, now: number): boolean {
  return until !== undefined && until <= now
}

/** What comes before the slash. */
export function kindOf(name: string): string {
  const slash = name.indexOf('/')
  return slash === -1 ? name : name.slice(0, slash)
}

/** Registers of which the last write wins. Knows nothing of what is in them, so that those of later versions are kept, too. */
export class LwwRegisters {
  readonly #byKind = new Map<string, Map<string, Write>>()

  find(name: string): Write | undefined {
    return this.#byKind.get(kindOf(name))?.get(name)
  }

  /** Whether it holds from now on: it is newer than what did. What is over is as if it had never been. */
  take(name: string, write: Write, now: number): boolean {
    const kind = kindOf(name)
    const named = this.#byKind.get(kind) ?? new Map<string, Write>()
    const known = named.get(name)
    if (isOver(write, now)) return false
    if (known !== undefined && !isOver(known, now) && known.stamp >= write.stamp) return false
    named.set(name, write)
    this.#byKind.set(kind, named)
    return true
  }

  /** Without a trace. */
  drop(name: string): void {
    const kind = kindOf(name)
    const named = this.#byKind.get(kind)
    named?.delete(name)
    if (named?.size === 0) this.#byKind.delete(kind)
  }

  /** Also those that were removed, as long as that is remembered. */
  *writes(): Iterable<readonly [name: string, write: Write]> {
    for (const named of this.#byKind.values()) yield* named
  }

  *ofKind(kind: string): Iterable<readonly [name: string, write: Write]> {
    yield* this.#byKind.get(kind) ?? []
  }
}

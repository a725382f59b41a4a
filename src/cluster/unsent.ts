import { kindOf } from './lww-registers.ts'

/** Names whose write the hub is not known to have. */
export class Unsent {
  readonly #byKind = new Map<string, Set<string>>()

  get size(): number {
    let size = 0
    for (const names of this.#byKind.values()) size += names.size
    return size
  }

  has(name: string): boolean {
    return this.#byKind.get(kindOf(name))?.has(name) ?? false
  }

  add(name: string): void {
    const kind = kindOf(name)
    const names = this.#byKind.get(kind) ?? new Set<string>()
    names.add(name)
    this.#byKind.set(kind, names)
  }

  /** Whether it was one. */
  delete(name: string): boolean {
    const kind = kindOf(name)
    const names = this.#byKind.get(kind)
    const isKnown = names?.delete(name) ?? false
    if (names?.size === 0) this.#byKind.delete(kind)
    return isKnown
  }

  /** First those of kinds of which there are few: an operator's order does not wait behind thousands of sessions. */
  next(count: number): readonly string[] {
    const next: string[] = []
    for (const names of [...this.#byKind.values()].sort((a, b) => a.size - b.size)) {
      for (const name of names) {
        if (next.length === count) return next
        next.push(name)
      }
    }
    return next
  }
}

/** Whose it is: a caller's, or the service's own. */
interface Owned {
  readonly owner: string
}

/** Those who wait, owner by owner in turn, and those of one owner in the order in which they came. */
export class FairQueue<T extends Owned> {
  /** The owner whose turn is next is first. */
  readonly #byOwner = new Map<string, Set<T>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  /** How many owners have something waiting. */
  get owners(): number {
    return this.#byOwner.size
  }

  countOf(owner: string): number {
    return this.#byOwner.get(owner)?.size ?? 0
  }

  has(item: T): boolean {
    return this.#byOwner.get(item.owner)?.has(item) === true
  }

  /** Whose turn it is. */
  first(): T | undefined {
    return this.#byOwner.values().next().value?.values().next().value
  }

  add(item: T): void {
    const own = this.#byOwner.get(item.owner) ?? new Set()
    if (own.has(item)) return
    own.add(item)
    this.#byOwner.set(item.owner, own)
    this.#size++
  }

  /** Takes it out; if it had its owner's turn, the next one's is. */
  delete(item: T): void {
    const own = this.#byOwner.get(item.owner)
    if (own === undefined || !own.has(item)) return
    const wasFirst = this.first() === item
    own.delete(item)
    this.#size--
    if (own.size === 0) this.#byOwner.delete(item.owner)
    else if (wasFirst) {
      this.#byOwner.delete(item.owner)
      this.#byOwner.set(item.owner, own)
    }
  }

  /** How many have their turn before it, itself included; all of them where it does not wait. */
  placeOf(item: T): number {
    const own = this.#byOwner.get(item.owner)
    if (own === undefined || !own.has(item)) return this.#size
    let place = [...own].indexOf(item) + 1
    const each = place
    for (const [owner, { size }] of this.#byOwner) if (owner !== item.owner) place += Math.min(size, each)
    return place
  }

  *[Symbol.iterator](): Generator<T> {
    for (const own of this.#byOwner.values()) yield* own
  }
}

const CHUNK = 32

/**
 * A map that is never changed: `with` makes another one, which shares all but a small part with it. For states of pure functions that have
 * many entries and change one at a time. Entries come in the order in which their keys came.
 */
export class PersistentMap<V> {
  readonly #places: ReadonlyMap<string, number>
  readonly #chunks: readonly (readonly V[])[]

  private constructor(places: ReadonlyMap<string, number>, chunks: readonly (readonly V[])[]) {
    this.#places = places
    this.#chunks = chunks
  }

  static of<V>(entries: Iterable<readonly [string, V]> = []): PersistentMap<V> {
    const byKey = new Map(entries)
    const values = [...byKey.values()]
    const chunks = Array.from({ length: Math.ceil(values.length / CHUNK) }, (_, n) =>
      values.slice(n * CHUNK, (n + 1) * CHUNK),
    )
    return new PersistentMap(new Map([...byKey.keys()].map((key, place) => [key, place])), chunks)
  }

  get size(): number {
    return this.#places.size
  }

  get(key: string): V | undefined {
    const place = this.#places.get(key)
    return place === undefined ? undefined : this.#chunks[Math.floor(place / CHUNK)]?.[place % CHUNK]
  }

  /** Takes as long as a few dozen entries do; for a new key, as long as all of them. */
  with(key: string, value: V): PersistentMap<V> {
    const known = this.#places.get(key)
    const place = known ?? this.#places.size
    const at = Math.floor(place / CHUNK)
    const chunk = this.#chunks[at]?.slice() ?? []
    chunk[place % CHUNK] = value
    const chunks = this.#chunks.slice()
    chunks[at] = chunk
    return new PersistentMap(known === undefined ? new Map(this.#places).set(key, place) : this.#places, chunks)
  }

  without(key: string): PersistentMap<V> {
    return this.#places.has(key) ? PersistentMap.of([...this].filter(([each]) => each !== key)) : this
  }

  *values(): Generator<V, void> {
    for (const chunk of this.#chunks) yield* chunk
  }

  *[Symbol.iterator](): Generator<readonly [string, V], void> {
    const values = this.values()
    for (const key of this.#places.keys()) {
      const { value, done } = values.next()
      if (!done) yield [key, value]
    }
  }
}

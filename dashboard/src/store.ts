import { useLayoutEffect, useReducer, useRef } from 'preact/hooks'

/** A state that changes by inputs alone, and those who show a part of it. */
export class Store<State, Input> {
  readonly #reduce: (state: State, input: Input) => State
  readonly #listeners = new Set<() => void>()
  #state: State

  constructor(reduce: (state: State, input: Input) => State, first: State) {
    this.#reduce = reduce
    this.#state = first
  }

  get state(): State {
    return this.#state
  }

  send(input: Input): void {
    const next = this.#reduce(this.#state, input)
    if (next === this.#state) return
    this.#state = next
    for (const listener of [...this.#listeners]) listener()
  }

  /** Calls `listener` after each change until what is returned is called. */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

/** A part of the state; the component is drawn anew when that part is another (`Object.is`). */
export function useStore<State, Part>(store: Store<State, never>, select: (state: State) => Part): Part {
  const [, redraw] = useReducer<number, void>((count) => count + 1, 0)
  const part = select(store.state)
  const latest = useRef({ part, select })
  latest.current = { part, select }
  useLayoutEffect(() => {
    const check = () => {
      if (!Object.is(latest.current.select(store.state), latest.current.part)) redraw()
    }
    check()
    return store.watch(check)
  }, [store])
  return part
}

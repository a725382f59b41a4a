/** A call as its caller knows it: the id of a JSON-RPC request is unique within a session alone. */
export interface CallName {
  readonly caller: string
  readonly session: string
  readonly id: string | number
}

/**
 * The calls that are under way, so that another request can cancel them: clients of before 2026 do not hang up, but say so. All else of
 * a session is with the client: its id is a name for its calls and nothing that we keep.
 */
export class RunningCalls {
  readonly #controllers = new Map<string, AbortController>()

  /** Aborts once the call is cancelled. Of two with one name the later one has it. */
  begin(name: CallName): { readonly signal: AbortSignal; end(): void } {
    const text = textOf(name)
    const controller = new AbortController()
    this.#controllers.set(text, controller)
    return {
      signal: controller.signal,
      end: () => {
        if (this.#controllers.get(text) === controller) this.#controllers.delete(text)
      },
    }
  }

  cancel(name: CallName, reason: Error): void {
    this.#controllers.get(textOf(name))?.abort(reason)
  }
}

function textOf({ caller, session, id }: CallName): string {
  return JSON.stringify([caller, session, id])
}

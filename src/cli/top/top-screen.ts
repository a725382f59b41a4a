import { type ApiClient, ApiProblem, ApiUnreachable } from '../../client/client.ts'
import { abortable, onAbort } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Terminal } from '../terminal.ts'
import { type Line, showLine } from './styled.ts'
import { SORT_NAMES, type SortName, sortedWorkers, topFrame } from './top-frame.ts'
import { afterMessage, type TopState } from './top-state.ts'

const KEYS: Line = [
  ['q', 'strong'],
  ' quit  ',
  ['s', 'strong'],
  ' sort  ',
  ['r', 'strong'],
  ' reverse  ',
  ['↑↓', 'strong'],
  ' choose  ',
  ['d', 'strong'],
  ' drain  ',
  ['e', 'strong'],
  ' enable  ',
  ['n', 'strong'],
  ' new circuits',
]
const WAITS_MS = [1_000, 2_000, 5_000]
const EVENTS_BEFORE = 20

export interface TopScreenOptions {
  readonly api: ApiClient
  readonly terminal: Terminal
  readonly clock: Clock
  readonly hasColours: boolean
}

/** Shows the service as it goes until the user has seen enough. Rejects with the signal's reason, and when there is no service at first. */
export async function showTop(options: TopScreenOptions, signal: AbortSignal): Promise<void> {
  const first = await options.api.live(signal)
  const { events } = await options.api.events({ limit: EVENTS_BEFORE }, signal)
  const screen = new TopScreen(options, { live: first, events })
  using _ = screen
  await screen.run(signal)
}

class TopScreen implements Disposable {
  readonly #options: TopScreenOptions
  readonly #taken: Disposable
  readonly #ended = new AbortController()
  #state: TopState
  #sort: SortName = 'n'
  #isReversed = false
  #chosen: string | undefined
  #note: string | undefined

  constructor(options: TopScreenOptions, state: TopState) {
    this.#options = options
    this.#state = state
    this.#taken = options.terminal.take({ key: (key) => this.#press(key), resize: () => this.#draw() })
    this.#draw()
  }

  /** Resolves when the user quits. */
  async run(signal: AbortSignal): Promise<void> {
    using _ = onAbort(signal, (reason) => this.#ended.abort(reason))
    try {
      await this.#follow(this.#ended.signal)
    } catch (error) {
      if (!this.#ended.signal.aborted) throw error
      signal.throwIfAborted()
    }
  }

  [Symbol.dispose](): void {
    this.#ended.abort()
    this.#taken[Symbol.dispose]()
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { api, clock } = this.#options
    for (let tries = 0; ; tries++) {
      try {
        const since = this.#state.events.at(-1)?.id
        for await (const message of api.watchLive(since === undefined ? {} : { since_id: since }, signal)) {
          if (tries > 0) this.#note = undefined
          tries = 0
          this.#state = afterMessage(this.#state, message) ?? this.#state
          this.#draw()
        }
        signal.throwIfAborted()
      } catch (error) {
        const mayPass = error instanceof ApiUnreachable || (error instanceof ApiProblem && error.retryable)
        if (!mayPass) throw error
      }
      this.#tell('The service has gone; trying again')
      await abortable(clock.sleep(WAITS_MS[Math.min(tries, WAITS_MS.length - 1)] ?? 0, signal), signal)
    }
  }

  #press(key: string): void {
    const { api } = this.#options
    if (key === 'q' || key === 'ctrl-c') this.#ended.abort()
    else if (key === 's' || key === 'right') this.#sortBy(1)
    else if (key === 'left') this.#sortBy(-1)
    else if (key === 'r') this.#isReversed = !this.#isReversed
    else if (key === 'up' || key === 'k') this.#choose(-1)
    else if (key === 'down' || key === 'j') this.#choose(1)
    else if (key === 'page-up') this.#choose(-10)
    else if (key === 'page-down') this.#choose(10)
    else if (key === 'escape') this.#chosen = undefined
    else if (key === 'd') this.#order('drained', (id, until) => api.drain(id, {}, until))
    else if (key === 'e') this.#order('enabled', (id, until) => api.enable(id, until))
    else if (key === 'n') this.#order('to have new circuits', (id, until) => api.newCircuits(id, { wait_ms: 0 }, until))
    else return
    if (!this.#ended.signal.aborted) this.#draw()
  }

  #sortBy(step: number): void {
    const at = SORT_NAMES.indexOf(this.#sort) + step
    this.#sort = SORT_NAMES.at(at % SORT_NAMES.length) ?? 'n'
  }

  #choose(step: number): void {
    const ids = sortedWorkers(this.#state, { sort: this.#sort, isReversed: this.#isReversed }).map(({ id }) => id)
    const at = this.#chosen === undefined ? -1 : ids.indexOf(this.#chosen)
    const next = at === -1 ? (step > 0 ? 0 : ids.length - 1) : Math.max(0, Math.min(ids.length - 1, at + step))
    this.#chosen = ids[next]
  }

  #order(done: string, order: (id: string, signal: AbortSignal) => Promise<unknown>): void {
    const id = this.#chosen
    if (id === undefined) {
      this.#note = 'Choose a worker first, by the arrow keys'
      return
    }
    order(id, this.#ended.signal).then(
      () => this.#tell(`${id} is ${done}`),
      (error: unknown) => this.#tell(error instanceof Error ? error.message : String(error)),
    )
  }

  #tell(note: string): void {
    if (this.#ended.signal.aborted) return
    this.#note = note
    this.#draw()
  }

  #draw(): void {
    const { terminal, hasColours } = this.#options
    const { columns, rows } = terminal
    const footer: Line = this.#note === undefined ? KEYS : [[this.#note, 'doubtful']]
    const lines = topFrame(this.#state, {
      ...{ columns, rows, footer, sort: this.#sort, isReversed: this.#isReversed, chosen: this.#chosen },
    })
    const look = hasColours ? 'colours' : 'no-colours'
    terminal.write(`\x1b[H${lines.map((line) => `${showLine(line, columns, look)}\x1b[K`).join('\r\n')}\x1b[J`)
  }
}

import type { ServiceEvent, ServiceProblem, ServiceProblemCode, Severity } from '../domain/events.ts'
import type { Clock } from '../lib/clock.ts'
import { printable } from '../lib/printable.ts'
import { MAX_TEXT } from './event-text.ts'

export interface ProblemOptions {
  readonly severity: Severity
  /** A sentence for people: what is wrong, and what can be done. */
  readonly text: string
  /** The worker that has it; a code may be open once for each worker, and once for none. */
  readonly worker?: string
  /** Neither shown nor told before it has lasted so long. */
  readonly visibleAfterMs?: number
}

interface Entry {
  problem: ServiceProblem
  isVisible: boolean
  readonly openedAt: number
  readonly timer: Disposable
}

/** What is wrong at present, as data. Opening and closing are events. */
export class Problems implements Disposable {
  readonly #clock: Clock
  readonly #record: (event: ServiceEvent) => void
  readonly #entries = new Map<string, Entry>()

  constructor(options: { readonly clock: Clock; record(event: ServiceEvent): void }) {
    this.#clock = options.clock
    this.#record = (event) => options.record(event)
  }

  /** Of a problem that is open already, only text and severity are changed; it is told again when the severity is another. */
  open(code: ServiceProblemCode, options: ProblemOptions): void {
    const { severity, worker, visibleAfterMs = 0 } = options
    const text = printable(options.text, MAX_TEXT)
    const key = keyOf(code, worker)
    const entry = this.#entries.get(key)
    if (entry !== undefined) {
      const isTold = entry.isVisible && entry.problem.severity !== severity
      entry.problem = { ...entry.problem, severity, text }
      if (isTold) this.#tellOpened(entry)
      return
    }
    const opened: Entry = {
      problem: { code, severity, text, worker, since: this.#clock.now() },
      isVisible: visibleAfterMs === 0,
      openedAt: this.#clock.monotonic(),
      timer:
        visibleAfterMs === 0
          ? { [Symbol.dispose]() {} }
          : this.#clock.timer(visibleAfterMs, () => {
              opened.isVisible = true
              this.#tellOpened(opened)
            }),
    }
    this.#entries.set(key, opened)
    if (opened.isVisible) this.#tellOpened(opened)
  }

  /** Does nothing when it is not open. */
  close(code: ServiceProblemCode, worker?: string): void {
    const key = keyOf(code, worker)
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    entry.timer[Symbol.dispose]()
    if (entry.isVisible) {
      const ms = this.#clock.monotonic() - entry.openedAt
      this.#record({ type: 'problem_closed', ms, ...fieldsOf(entry.problem) })
    }
  }

  /** Those of a worker that is none any more. */
  closeAllOf(worker: string): void {
    for (const { problem } of [...this.#entries.values()])
      if (problem.worker === worker) this.close(problem.code, worker)
  }

  /** Those that are visible, the oldest first. */
  list(): readonly ServiceProblem[] {
    return [...this.#entries.values()].flatMap(({ isVisible, problem }) => (isVisible ? [problem] : []))
  }

  /** Forgets all of them without a word. */
  [Symbol.dispose](): void {
    for (const { timer } of this.#entries.values()) timer[Symbol.dispose]()
    this.#entries.clear()
  }

  #tellOpened({ problem }: Entry): void {
    this.#record({ type: 'problem_opened', text: problem.text, ...fieldsOf(problem) })
  }
}

function fieldsOf({ code, severity, worker }: ServiceProblem) {
  return { code, severity, ...(worker !== undefined && { worker }) }
}

function keyOf(code: ServiceProblemCode, worker: string | undefined): string {
  return `${code} ${worker ?? ''}`
}

import { CbtorError } from '../domain/errors.ts'
import { onAbort } from '../lib/abort.ts'

/** One try on one worker while it goes on: it ends with the fetch, or when its worker is given up. */
export class Trial implements Disposable {
  readonly workerId: string
  /** Whether Tor has made the stream. From then on slowness is the target's. */
  hasStream = false
  readonly #controller = new AbortController()
  readonly #ends = new DisposableStack()

  constructor(workerId: string, trials: Set<Trial>, parent: AbortSignal) {
    this.workerId = workerId
    trials.add(this)
    this.#ends.defer(() => trials.delete(this))
    this.#ends.use(onAbort(parent, (reason) => this.#controller.abort(reason)))
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  abandon(reason: CbtorError): void {
    this.#controller.abort(reason)
  }

  /** Gives up connecting because it takes too long and another worker is ready. */
  giveUpConnecting(limitMs: number): void {
    const late = `within ${Math.round(limitMs)} ms`
    this.abandon(
      this.hasStream
        ? new CbtorError('tls_failure', `Cannot make a secure connection to the target: no handshake ${late}`)
        : new CbtorError('tor_timeout', `Cannot connect to the target: Tor made no connection ${late}`),
    )
  }

  [Symbol.dispose](): void {
    this.#ends.dispose()
  }
}

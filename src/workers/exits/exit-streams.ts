import { CbtorError } from '../../domain/errors.ts'
import type { Circuit } from '../../tor/control/events/circuit.ts'
import type { ControlEvent } from '../../tor/control/events/event.ts'
import type { Stream } from '../../tor/control/events/stream.ts'
import { problemOfStream } from '../tor-problems.ts'

/** Circuits to one exit that may fail: one of them may break for any relay on it, but hardly so many in a row. */
const MAX_FAILED_CIRCUITS = 3

/** A stream that is to leave by a certain exit. */
export interface WantedStream {
  /** The name by which it is asked for, its own alone. */
  readonly name: string
  readonly user: string
  /** A fingerprint. */
  readonly exit: string
}

/** The fault of an exit, or of the way to it: another exit may do better. */
export class ExitFault extends Error {
  override readonly name = 'ExitFault'
  /** What to tell the caller when there is no other. */
  readonly problem: CbtorError
  /** Whether the exit works, but does not take this port. */
  readonly isOfPort: boolean

  constructor(problem: CbtorError, { isOfPort = false } = {}) {
    super(problem.message, { cause: problem })
    this.problem = problem
    this.isOfPort = isOfPort
  }
}

/** Dispose it when nobody waits for it any more. */
export interface AwaitedStream extends Disposable {
  /**
   * Resolves once the target, or the exit that was asked, has answered on a circuit that ends at the exit. Rejects with an `ExitFault`, or with the `CbtorError` of
   * the target's fault.
   */
  readonly settled: Promise<void>
  /** Aborts with what `settled` rejects with: what Tor would go on trying is hopeless. */
  readonly failed: AbortSignal
  /** The one that it is on, once `settled` has resolved. */
  readonly circuit: Circuit | undefined
}

/**
 * Sees by STREAM and CIRC events that streams leave by the exit that they are to leave by. Tor itself would try a stream that an exit does
 * not take again and again, at the same exit, on a new circuit each time; so the first refusal is the last.
 */
export class ExitStreams {
  readonly #circuitOf: (id: string) => Circuit | undefined
  readonly #byName = new Map<string, Awaited>()
  readonly #byId = new Map<string, Awaited>()

  /** `circuitOf` tells a circuit by its id, as the newest event has it. */
  constructor(circuitOf: (id: string) => Circuit | undefined) {
    this.#circuitOf = circuitOf
  }

  /** Call it before dialling. */
  expect(wanted: WantedStream): AwaitedStream {
    const awaited = new Awaited(wanted)
    this.#byName.set(wanted.name, awaited)
    return {
      settled: awaited.settled.promise,
      failed: awaited.failed.signal,
      get circuit() {
        return awaited.circuit
      },
      [Symbol.dispose]: () => {
        this.#byName.delete(wanted.name)
        if (awaited.streamId !== undefined) this.#byId.delete(awaited.streamId)
      },
    }
  }

  handle(event: ControlEvent): void {
    if (event.type === 'CIRC') this.#circuit(event)
    else if (event.type === 'STREAM') this.#stream(event)
  }

  /** The control connection is gone: nobody will tell what becomes of them. */
  lost(error: Error): void {
    for (const awaited of this.#byName.values()) awaited.fail(error)
  }

  #circuit({ status, socksUsername }: Circuit): void {
    if (status !== 'FAILED' || socksUsername === undefined) return
    for (const awaited of this.#byName.values()) {
      const isWaiting = awaited.streamId !== undefined && !awaited.isOnCircuit
      if (isWaiting && awaited.wanted.user === socksUsername) awaited.circuitFailed()
    }
  }

  #stream(stream: Stream): void {
    const { id, status } = stream
    if (status === 'NEW' || status === 'NEWRESOLVE') {
      const awaited = this.#byName.get(stream.target.host)
      if (awaited === undefined || awaited.wanted.user !== stream.socksUsername) return
      awaited.streamId = id
      awaited.isQuestion = status === 'NEWRESOLVE'
      this.#byId.set(id, awaited)
      return
    }
    const awaited = this.#byId.get(id)
    if (awaited === undefined) return
    switch (status) {
      case 'SENTCONNECT':
      case 'SENTRESOLVE':
        awaited.isOnCircuit = true
        this.#requireExit(awaited, stream)
        break
      case 'SUCCEEDED':
        if (this.#requireExit(awaited, stream)) awaited.succeed()
        break
      case 'DETACHED':
        awaited.isOnCircuit = false
        // When it is the circuit that broke, Tor's next one may do.
        if (stream.reason === 'END' || stream.reason === 'TIMEOUT') awaited.fail(faultOf(stream))
        else awaited.circuitFailed()
        break
      case 'FAILED':
        awaited.fail(faultOf(stream))
        break
      case 'CLOSED': {
        // A question that was answered has no SUCCEEDED.
        const isAnswered = awaited.isQuestion && stream.reason === 'DONE'
        if (!isAnswered) awaited.fail(faultOf(stream))
        else if (!awaited.isOnCircuit) awaited.fail(madeUp())
        else if (this.#requireExit(awaited, stream)) awaited.succeed()
        break
      }
    }
  }

  #requireExit(awaited: Awaited, { circuitId = '' }: Stream): boolean {
    awaited.circuit = this.#circuitOf(circuitId)
    if (awaited.circuit?.path.at(-1)?.fingerprint === awaited.wanted.exit) return true
    const why = 'Tor has put it on a circuit that does not end at the exit that was chosen'
    awaited.fail(new CbtorError('tor_failure', `Cannot connect to the target: ${why}`))
    return false
  }
}

class Awaited {
  readonly wanted: WantedStream
  readonly settled = Promise.withResolvers<void>()
  readonly failed = new AbortController()
  streamId: string | undefined
  /** It asks for an address. */
  isQuestion = false
  isOnCircuit = false
  circuit: Circuit | undefined
  #failedCircuits = 0
  #isSettled = false

  constructor(wanted: WantedStream) {
    this.wanted = wanted
    this.settled.promise.catch(() => {})
  }

  succeed(): void {
    this.#isSettled = true
    this.settled.resolve()
  }

  /** Not that it ends later: a target that says all and hangs up has not failed. */
  fail(error: Error): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.settled.reject(error)
    this.failed.abort(error)
  }

  circuitFailed(): void {
    if (++this.#failedCircuits < MAX_FAILED_CIRCUITS) return
    const why = `${this.#failedCircuits} circuits to the exit that was chosen have failed`
    this.fail(new ExitFault(new CbtorError('tor_failure', `Cannot connect to the target: ${why}`)))
  }
}

/** No exit was asked: with AutomapHostsOnResolve, a Tor answers by itself. */
function madeUp(): CbtorError {
  const why = 'the Tor of this worker makes up addresses for names by itself'
  return new CbtorError('exit_rule_unsupported', `Cannot choose an exit: ${why}`)
}

/** Whose fault it is, by the reason with which the stream left its circuit, or found none. */
function faultOf(stream: Stream): Error {
  const problem = problemOfStream(stream)
  switch (stream.reason) {
    // The exit has said so. Only its own policy is its own affair; a name that it cannot resolve, others cannot, either.
    case 'END':
      return problem.code === 'exit_policy' ? new ExitFault(problem, { isOfPort: true }) : problem
    case 'PRIVATE_ADDR':
      return problem
    // Slowness of one exit is no fault of the worker.
    case 'TIMEOUT':
      return new ExitFault(
        new CbtorError('tor_failure', 'Cannot connect to the target: the exit that was chosen does not answer'),
      )
    // Tor does not know the exit, or is not to use it; the circuit broke.
    default:
      return new ExitFault(problem)
  }
}

import type { Routing } from './domain/exchange.ts'
import type { Asked, RequestLine, RequestLog } from './events/request-log.ts'
import type { Admission, Admitted } from './limits/admission.ts'

export interface RequestParts {
  readonly requests: RequestLog
  readonly admission: Admission
}

/** A request that was let in. */
export interface Underway<R> {
  /** As it is to be carried out: its tries are told. */
  readonly request: R
  /** To be ended by whoever carries it out; a failure is told without it. */
  readonly line: RequestLine
  readonly admitted: Admitted
  /** Aborts as the caller's does, and when the key has used up what it may. */
  readonly signal: AbortSignal
  /** Disposed when it is over: what goes on longer moves them. */
  readonly ends: DisposableStack
}

/**
 * Lets a request of a caller in and carries it out, told of in the log whatever becomes of it. Rejects with what `work` rejects with, and with what the key's limits have against it.
 */
export async function carryOut<T, R extends Asked & Routing>(
  { requests, admission }: RequestParts,
  kind: Parameters<RequestLog['begin']>[0],
  asked: R,
  signal: AbortSignal,
  work: (underway: Underway<R>) => Promise<T>,
): Promise<T> {
  const line = requests.begin(kind, asked)
  using ends = new DisposableStack()
  try {
    const admitted = ends.use(admission.admit(asked.caller, signal))
    const request = { ...asked, onTry: (worker: string) => line.triedOn(worker) }
    return await work({ request, line, admitted, ends, signal: admitted.signal })
  } catch (error) {
    line.failed(error)
    throw error
  }
}

import { CbtorError } from '../domain/errors.ts'
import { abortable, deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { TorControl } from '../tor/control/client.ts'
import type { Circuit } from '../tor/control/events/circuit.ts'
import { leadsToExit } from './circuits.ts'

/** So many circuits are kept for identities to come; Tor itself builds about as many ahead, as long as it is being used. */
const WARM_CIRCUITS = 2
const WARM_WITHIN_MS = 30_000
/** A circuit may fail and be built again; more than this would be a storm of our own. */
const MAX_LAUNCHES = 3 * WARM_CIRCUITS

export interface WarmUpOptions {
  /** The worker's id, for messages. */
  readonly worker: string
  readonly clock: Clock
  /** Whether a circuit belongs to an identity. */
  isTaken(circuit: Circuit): boolean
}

/** As `WorkerDriver.warmUp` promises, except that errors of the control connection come as they are. */
export async function warmUp(
  control: TorControl,
  { worker, clock, isTaken }: WarmUpOptions,
  signal: AbortSignal,
): Promise<void> {
  let built = 0
  using limit = deadline(
    clock,
    WARM_WITHIN_MS,
    signal,
    () =>
      new CbtorError(
        'tor_timeout',
        `Cannot warm up worker ${worker}: its Tor built ${built} of ${WARM_CIRCUITS} circuits in ${WARM_WITHIN_MS} ms`,
      ),
  )
  let launches = 0
  let changed = Promise.withResolvers<void>()
  using _listening = control.on('CIRC', ({ status }) => {
    if (status === 'BUILT' || status === 'FAILED' || status === 'CLOSED') changed.resolve()
  })
  using _close = control.onClose((reason) => changed.reject(reason))
  for (;;) {
    changed = Promise.withResolvers()
    changed.promise.catch(() => {})
    // The list, not the event, tells which circuits nobody has taken.
    const free = (await control.circuits(limit.signal)).filter((circuit) => leadsToExit(circuit) && !isTaken(circuit))
    built = free.filter(({ status }) => status === 'BUILT').length
    if (built >= WARM_CIRCUITS) return
    for (let missing = WARM_CIRCUITS - free.length; missing > 0 && launches < MAX_LAUNCHES; missing--) {
      launches++
      await control.extendCircuit({ purpose: 'general' }, limit.signal)
    }
    await abortable(changed.promise, limit.signal)
  }
}

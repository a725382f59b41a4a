import type { Permit } from './governor.ts'
import type { Ward, WardRequest } from './pool-governor.ts'
import type { SharedWatch } from './shared-watch.ts'

/**
 * The place of a worker that several gateways reach: nothing is permitted but while it is ours to heal, and was found ill since:
 * whoever had it before may have healed it.
 */
export function leasedWard(ward: Ward, shared: SharedWatch, wasFoundIll: () => boolean): Ward {
  return {
    get isUplinkSuspect() {
      return ward.isUplinkSuspect
    },
    get doesMachineHang() {
      return ward.doesMachineHang
    },
    get reboots() {
      return ward.reboots
    },
    tell: (event) => ward.tell(event),
    ask: (request) => hold(request, shared, wasFoundIll()) ?? ward.ask(request),
    onRelease(listener) {
      const stack = new DisposableStack()
      stack.use(ward.onRelease(listener))
      stack.use(shared.onChange((change) => change === 'lease' && listener('lease-changed')))
      return stack
    },
  }
}

function hold({ action }: WardRequest, shared: SharedWatch, wasFoundIll: boolean): Permit | undefined {
  const never = { at: Number.POSITIVE_INFINITY, isElsewhere: true }
  if (shared.fence() === undefined) {
    const healer = shared.healer()
    return { ...never, reason: healer === undefined ? 'no gateway may heal it just now' : `gateway ${healer} heals it` }
  }
  if (!wasFoundIll) return { ...never, reason: 'it is looked at first' }
  const { wellFor } = shared.elsewhere()
  // What we see is the way there, then: the gentler steps mend that.
  if (action.type !== 'reboot' || wellFor === undefined) return undefined
  return { at: Number.POSITIVE_INFINITY, reason: `gateway ${wellFor} finds it well` }
}

import type { Permit } from './governor.ts'
import type { Ward, WardRequest } from './pool-governor.ts'
import type { SharedWatch } from './shared-watch.ts'

/** The place of a worker that several gateways reach: nothing is permitted but while it is ours to heal. */
export function leasedWard(ward: Ward, shared: SharedWatch): Ward {
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
    ask: (request) => hold(request, shared) ?? ward.ask(request),
    onRelease(listener) {
      const stack = new DisposableStack()
      stack.use(ward.onRelease(listener))
      stack.use(shared.onChange((change) => change === 'lease' && listener('lease-changed')))
      return stack
    },
  }
}

function hold({ action }: WardRequest, shared: SharedWatch): Permit | undefined {
  const never = { at: Number.POSITIVE_INFINITY, isElsewhere: true }
  if (shared.fence() === undefined) {
    const healer = shared.healer()
    return { ...never, reason: healer === undefined ? 'no gateway may heal it just now' : `gateway ${healer} heals it` }
  }
  const { wellFor } = shared.elsewhere()
  // What we see is the way there, then: the gentler steps mend that.
  if (action.type !== 'reboot' || wellFor === undefined) return undefined
  return { at: Number.POSITIVE_INFINITY, reason: `gateway ${wellFor} finds it well` }
}

import type { EgressState } from '../egress/probe.ts'
import { type Finding, ok, unchecked, warning, wrong } from './finding.ts'

const NAME = 'egress lock'
const LOAD = 'Load its rules: cbtor doctor --egress-rules, see docs/security.md'

/**
 * `whose`: of the service, when this process is as it is (user and control group, by which the kernel tells whom it locks); of this
 * process alone, when it is not. `required`: the operator has asked for nothing but this.
 */
export function judgeEgress({ state, holes }: EgressState, whose: 'service' | 'self', required: boolean): Finding {
  const seen = holes.join('; ')
  switch (state) {
    case 'locked':
      return ok(NAME, 'what is sent to the outside is refused at once')
    case 'open':
      if (required) return wrong(NAME, seen, LOAD)
      return whose === 'service'
        ? warning(
            NAME,
            `there is none: ${seen}. The service goes out by Tor all the same; a lock holds it to that`,
            LOAD,
          )
        : unchecked(NAME, 'there is none for this process, which tells nothing of the service', RUN_AS_SERVICE)
    case 'unknown': {
      const why = 'there is no route by which a packet could leave, so nobody can tell'
      return required ? wrong(NAME, why, 'Run this where there is a network') : unchecked(NAME, why)
    }
  }
}

const RUN_AS_SERVICE = 'Run it as the service is, in its unit: ExecStartPre=… cbtor doctor --egress'

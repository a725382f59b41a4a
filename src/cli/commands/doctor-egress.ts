/** What `cbtor doctor` has about the egress lock: does it hold, and which rules make it. */
import { readBoxes } from '../../boxes/box-file.ts'
import { readConfig } from '../../config/read-config.ts'
import { probeEgress } from '../../egress/probe.ts'
import { egressRules, type LockSubject } from '../../egress/rules.ts'
import { waysOut } from '../../egress/ways.ts'
import type { CliParts } from '../parts.ts'
import { configFlags, type StateFlags } from '../state-directory.ts'

export interface RulesFlags extends StateFlags {
  readonly user?: string
  readonly cgroup?: string
}

/** The unit of `deploy/cbtor.service`. */
export const CGROUP = 'system.slice/cbtor.service'

const PROOF: Readonly<Record<'open' | 'unknown', string>> = {
  open: 'The egress lock does not hold for this process',
  unknown: 'There is no route by which a packet could leave, so whether the egress lock holds cannot be seen',
}

/** Throws unless the lock holds for this very process. */
export async function requireEgressLock({ clock, out }: CliParts): Promise<void> {
  const { state, holes } = await probeEgress({ clock })
  if (state === 'locked') {
    out.write('The egress lock holds: what this process sends to the outside is refused at once\n')
    return
  }
  const mend = 'Load the rules (cbtor doctor --egress-rules), and run this as the service is run: docs/security.md'
  throw new Error([PROOF[state], ...holes, mend].join('. '))
}

/** Writes the rules of this configuration for `nft -f`. */
export function writeEgressRules(flags: RulesFlags, { env, out, err }: CliParts): void {
  const config = readConfig(configFlags(flags), env)
  const { user, cgroup = CGROUP } = flags
  const subject: LockSubject = user === undefined ? { by: 'cgroup', path: cgroup } : { by: 'user', user }
  const { ways, conflicts } = waysOut(config, readBoxes(config.state), subject)
  out.write(egressRules({ subject, ways, hasRemoteClients: hasRemoteClients(config) }))
  for (const conflict of conflicts) err.write(`note: ${conflict}\n`)
}

/** The API answers on loopback alone. */
function hasRemoteClients(_config: ReturnType<typeof readConfig>): boolean {
  return false
}

/** The rules of the egress lock, for this configuration. */
import { readBoxes } from '../../boxes/box-file.ts'
import { readConfig, type ServiceConfig } from '../../config/read-config.ts'
import { egressRules, type LockSubject } from '../../egress/rules.ts'
import { waysOut } from '../../egress/ways.ts'
import { staysOnMachine } from '../../listen/address.ts'
import type { StateFlags } from '../flags.ts'
import type { CliParts } from '../parts.ts'
import { configFlags } from '../state-directory.ts'

export interface RulesFlags extends StateFlags {
  readonly user?: string
  readonly cgroup?: string
}

/** The unit of `deploy/cbtor.service`. */
export const CGROUP = 'system.slice/cbtor.service'

/** Writes the rules of this configuration for `nft -f`. */
export function writeEgressRules(flags: RulesFlags, { env, out, err }: CliParts): void {
  const config = readConfig(configFlags(flags), env)
  const { user, cgroup = CGROUP } = flags
  const subject: LockSubject = user === undefined ? { by: 'cgroup', path: cgroup } : { by: 'user', user }
  const { ways, conflicts } = waysOut(config, readBoxes(config.state), subject)
  out.write(egressRules({ subject, ways, hasRemoteClients: hasRemoteClients(config) }))
  for (const conflict of conflicts) err.write(`note: ${conflict}\n`)
}

function hasRemoteClients({ listen, proxy, cluster }: ServiceConfig): boolean {
  return [listen, proxy.http, proxy.socks, proxy.both, cluster.worker_port].some(
    (at) => typeof at === 'object' && !staysOnMachine(at),
  )
}

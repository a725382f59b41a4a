import { parseStoreUrl } from '../cluster/store-url.ts'
import { isLoopbackAddress } from '../lib/loopback.ts'
import { staysOnMachine } from '../listen/address.ts'
import type { ServiceConfig } from './read-config.ts'

/** Something that is allowed and seldom meant. */
export interface Warning {
  readonly field: string
  /** What comes of it, and what would be better. */
  readonly message: string
}

const SHORT_INTERVAL_MS = 2_000
const LONG_INTERVAL_MS = 120_000
/** Above it relays refuse an address for an hour or more. */
const RATE_OF_RELAYS = 3

/** What is legal and unwise, in the order of the fields. */
export function unwise(config: ServiceConfig): readonly Warning[] {
  const {
    auth,
    checks,
    circuits,
    cluster,
    exits,
    health,
    limits,
    listen,
    log,
    log_targets,
    state,
    store,
    targets,
    tor,
    workers,
  } = config
  const warnings: Warning[] = []
  const warn = (field: string, message: string) => warnings.push({ field, message })

  if (auth === 'off') warn('auth', 'every program and every user of this machine may use all of the API')
  if (!staysOnMachine(listen) && limits.rate === Number.POSITIVE_INFINITY)
    warn('limits.rate', 'others can reach the API, and a key that says nothing itself may ask without end')
  if (/^\/(?:tmp|var\/tmp|dev\/shm)\//.test(`${state}/`))
    warn('state', 'guards, keys and jobs would be gone after a reboot: put it where files stay, such as /var/lib/cbtor')
  const address = parseStoreUrl(store)
  if (typeof address === 'object' && 'host' in address.at && !address.hasTls && !isLoopbackAddress(address.at.host))
    warn(
      'store',
      'its password crosses the network in the clear, and anybody on it may write what the replicas read: use rediss://, or a tunnel',
    )
  if (store === 'embedded' && cluster.worker_port !== 'off')
    warn('cluster.worker_port', 'no other replica learns of it while store is embedded')
  if (cluster.worker_port === 'off' && cluster.peers.length > 0 && store === 'embedded')
    warn('cluster.peers', 'there are none while store is embedded')
  if (log === 'debug') warn('log', 'each request has a line: who asked when is written down')
  if (log_targets === 'hashed')
    warn('log_targets', 'whoever reads the log of a day sees which requests went to one host')
  if (workers.length === 1) warn('workers', 'with one worker nothing takes over when it fails: have two at least')
  for (const worker of workers)
    if (worker.kind === 'external' && worker.control === undefined)
      warn(`workers (${worker.id})`, 'without its control port nothing is known of its exits, circuits and isolation')
  if (!tor.reject_internal_addresses)
    warn(
      'tor.reject_internal_addresses',
      'false is for a private Tor network: requests may reach addresses inside of networks',
    )
  if (circuits.rate > RATE_OF_RELAYS)
    warn(
      'circuits.rate',
      `relays of the Tor network refuse an address for an hour that asks for more than ${RATE_OF_RELAYS} a second`,
    )
  if (exits.min_exits < 3 || exits.min_families < 2)
    warn('exits', 'an exit rule may be met by so few exits that whoever runs one knows who leaves by it')
  if (targets.allow_reserved.length > 0)
    warn('targets.allow_reserved', 'requests may be sent to addresses that are not on the public internet')
  if (targets.allow_ports.includes(25)) warn('targets.allow_ports', 'port 25 is what senders of spam look for')
  if (health.check_interval < SHORT_INTERVAL_MS)
    warn('health.check_interval', 'checks so often are a load for Tor and for the check endpoints: 10s is enough')
  if (health.check_interval > LONG_INTERVAL_MS)
    warn('health.check_interval', 'a worker that fails is found late when nobody uses it')
  if (health.check_timeout > health.check_interval * 2)
    warn('health.check_timeout', 'a check may take longer than two intervals, so a worker that hangs is found late')
  if (checks.clearnet.length === 0) warn('checks.clearnet', 'without one nobody knows whether a worker works')
  if (checks.clearnet.length === 1 && !/check\.torproject\.org/.test(checks.clearnet[0] ?? ''))
    warn('checks.clearnet', 'when this one page is down, all workers fail their checks: have two or three')
  return warnings
}

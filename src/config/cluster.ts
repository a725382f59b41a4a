/** What joins several replicas to one pool. */
import { createHash } from 'node:crypto'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { z } from 'zod'
import { parseStoreUrl, STORE_FORMS } from '../cluster/store-url.ts'
import { parseLocalReceiver } from '../jobs/local-receivers.ts'
import { showListenAddress, type TcpAddress } from '../listen/address.ts'

/** The shared store, or the embedded one. */
export const storeSchema = z
  .string(STORE_FORMS)
  .superRefine((text, context) => {
    const parsed = text === 'embedded' ? undefined : parseStoreUrl(text)
    if (typeof parsed === 'string') context.addIssue({ code: 'custom', message: parsed })
  })
  .meta({ pattern: '^(?:embedded$|rediss?://|redis\\+unix://)' })

const NO_REPLICA = 'expected a small letter, then up to 15 small letters, digits or hyphens'
const NO_PREFIX = 'expected 1 to 32 small letters, digits or hyphens'
const NO_PORT = 'expected an IP address and a port, such as 10.0.0.11:32212'
const path = z.string('expected an absolute path').startsWith('/', 'expected an absolute path')

const tcpAddress = (text: string): TcpAddress | undefined => {
  const [, v6, v4 = '', digits] = /^(?:\[([^\]%]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const host = v6 ?? v4
  const port = Number(digits)
  return isIP(host) === (v6 === undefined ? 4 : 6) && port <= 65_535 ? { host, port } : undefined
}

const workerPort = z.string(`${NO_PORT}, or off`).transform((text, context) => {
  if (text === 'off') return 'off' as const
  const address = tcpAddress(text)
  if (address !== undefined) return address
  context.addIssue({ code: 'custom', message: `${NO_PORT}, or off` })
  return z.NEVER
})

const advertised = z.string(NO_PORT).transform((text, context) => {
  const address = tcpAddress(text)
  if (address !== undefined && address.port > 0 && !isWildcard(address)) return address
  context.addIssue({ code: 'custom', message: NO_PORT })
  return z.NEVER
})

const NO_PEER = 'expected an address or a network of your own and a port, such as 10.0.0.12:32212 or 10.0.0.0/24:32212'
const peer = z.string(NO_PEER).transform((text, context) => {
  const parsed = parseLocalReceiver(text)
  if (parsed !== undefined) return parsed
  context.addIssue({ code: 'custom', message: NO_PEER })
  return z.NEVER
})

export const clusterSchema = z.strictObject({
  replica: z
    .string(NO_REPLICA)
    .regex(/^[a-z][a-z0-9-]{0,15}$/, NO_REPLICA)
    .optional()
    .describe('The name of this replica; no other one of the pool has it. Made of the name of the host when left out.')
    .meta({ examples: ['gw1'] }),
  prefix: z
    .string(NO_PREFIX)
    .regex(/^[a-z0-9-]{1,32}$/, NO_PREFIX)
    .default('cbtor')
    .describe('What the names of everything in the store begin with: another one for another pool on the same store.'),
  secret_file: path
    .optional()
    .describe(
      "The file of the pool's secret, the same for all replicas: 32 bytes or more in base64. pool-secret in the state directory when left out; it is made when there is none.",
    )
    .meta({ examples: ['/etc/cbtor/pool-secret'] }),
  password_file: path
    .optional()
    .describe('A file that holds the password of the store.')
    .meta({ examples: ['/etc/cbtor/store-password'] }),
  ca_file: path
    .optional()
    .describe('The authority whose certificate a rediss:// store has, PEM; those of the system when left out.'),
  worker_port: workerPort
    .prefault('off')
    .describe('Where the other replicas reach the local workers of this one: an IP address and a port, or off.')
    .meta({ examples: ['10.0.0.11:32212', 'off'] }),
  advertise: advertised
    .optional()
    .describe('The address and port that the others dial, where it is not that of worker_port.')
    .meta({ examples: ['10.0.0.11:32212'] }),
  peers: z
    .array(peer)
    .max(100, 'expected 100 addresses at most')
    .prefault([])
    .describe(
      "Where the worker ports of other replicas are: addresses and networks of one's own, with a port. For the egress lock, which opens no other way to them.",
    )
    .meta({ examples: [['10.0.0.0/24:32212', '[fd00::/64]:32212']] }),
})

export type ClusterDocument = z.output<typeof clusterSchema>

/** As it holds, with what follows from other fields and from the machine. */
export interface ClusterConfig extends Omit<ClusterDocument, 'replica' | 'secret_file' | 'advertise'> {
  readonly replica: string
  /** An absolute path. */
  readonly secret_file: string
  /** Undefined while there is no worker port, or one on a port that is drawn when it opens. */
  readonly advertise: TcpAddress | undefined
}

export function clusterConfig(document: ClusterDocument, state: string, hostName: string): ClusterConfig {
  const { replica, secret_file: secret, advertise, worker_port: port } = document
  return {
    ...document,
    replica: replica ?? replicaName(hostName),
    secret_file: secret ?? join(state, 'pool-secret'),
    advertise: port === 'off' ? undefined : (advertise ?? (port.port === 0 ? undefined : port)),
  }
}

/** The address of a shared store that is reached by the network; undefined for others. */
export function storeHost(store: string): TcpAddress | undefined {
  const address = store === 'embedded' ? undefined : parseStoreUrl(store)
  return typeof address === 'object' && 'host' in address.at ? address.at : undefined
}

/** What cannot be together. */
export function clusterFaults(
  store: string,
  { password_file, ca_file, worker_port, advertise }: ClusterDocument,
): readonly { readonly field: string; readonly message: string }[] {
  const address = store === 'embedded' ? undefined : parseStoreUrl(store)
  const faults: { field: string; message: string }[] = []
  if (typeof address === 'object' && address.user !== undefined && password_file === undefined)
    faults.push({ field: 'store', message: 'a user has a password: expected cluster.password_file' })
  if (typeof address === 'object' && ca_file !== undefined && !address.hasTls)
    faults.push({ field: 'cluster.ca_file', message: 'it is for a store with TLS: expected store: rediss://IP:PORT' })
  if (worker_port !== 'off' && isWildcard(worker_port) && advertise === undefined)
    faults.push({
      field: 'cluster.worker_port',
      message: `others cannot dial ${showListenAddress(worker_port)}: expected an address of this machine, or cluster.advertise`,
    })
  return faults
}

function isWildcard({ host }: TcpAddress): boolean {
  return /^[0:.]+$/.test(host)
}

const MAX_NAME = 16

/** What is too long keeps its beginning, and gets digits of a hash so that `gateway-paris-1` and `-2` stay apart. */
export function replicaName(hostName: string): string {
  const [first = ''] = hostName.toLowerCase().split('.')
  const plain = first.replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '')
  const named = /^[a-z]/.test(plain) ? plain : ['gw', plain].filter(Boolean).join('-')
  if (named.length <= MAX_NAME) return named
  const digits = createHash('sha256').update(hostName.toLowerCase()).digest('hex').slice(0, 6)
  return `${named.slice(0, MAX_NAME - 7).replace(/-$/, '')}-${digits}`
}

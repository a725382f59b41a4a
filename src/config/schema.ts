import { isIP } from 'node:net'
import { z } from 'zod'
import { MODES } from '../domain/exchange.ts'
import { LOG_TARGETS } from '../events/request-log.ts'
import { LOG_FORMATS } from '../lib/log.ts'
import { ADDRESS_FORMS, parseListenAddress } from '../listen/address.ts'
import { duration } from './duration-field.ts'
import { jobsSchema } from './jobs.ts'
import { limitsSchema, politenessSchema } from './limits.ts'
import { targetsSchema } from './targets.ts'

/** Where the API listens. */
const listen = z.string(ADDRESS_FORMS).transform((text, context) => {
  const address = parseListenAddress(text)
  if (typeof address === 'object') return address
  context.addIssue({ code: 'custom', message: address })
  return z.NEVER
})

/** A port of the proxy: where it listens, or not at all. */
const proxyPort = z.string(`${ADDRESS_FORMS}, or off`).transform((text, context) => {
  if (text === 'off') return 'off' as const
  const address = parseListenAddress(text)
  if (typeof address === 'object') return address
  context.addIssue({ code: 'custom', message: `${address}, or off` })
  return z.NEVER
})

const path = z.string().startsWith('/', 'expected an absolute path')

/** A name or an address, as clients write it, with or without a port. */
const hostName = z
  .string()
  .toLowerCase()
  .regex(
    /^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::\d{1,5})?$/,
    'expected a host name, such as cbtor.lan or cbtor.lan:443',
  )

const onOrOff = z.enum(['on', 'off'], 'expected on or off')

const MIN_IDLE_MS = 1_000
/** Timers go no further than 24 days. */
const MAX_IDLE_MS = 7 * 24 * 60 * 60 * 1_000

const webUrl = z.url({ protocol: /^https?$/, error: 'expected an http or https URL' })

const onionUrl = webUrl.refine(
  (url) => new URL(url).hostname.endsWith('.onion'),
  'expected the URL of an onion service',
)

const workerId = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'expected a letter, then up to 31 letters, digits or hyphens')

const localWorker = z.strictObject({
  kind: z.literal('local'),
  id: workerId,
  /** Further torrc lines for this worker, after those of `tor.torrc`. */
  torrc: z.array(z.string()).default([]),
})

/** What `cbtor worker install` has written down of the box is not said again here. */
const openwrtWorker = z.strictObject({
  kind: z.literal('openwrt'),
  id: workerId,
  /** How clearnet goes into its Tor; onion services, sticky keys and IP addresses always go by SOCKS. */
  clearnet: z.enum(['transparent', 'socks']).default('transparent'),
})

/** `unix:PATH`, or an IP address and a port. A name would be resolved outside Tor. */
const torPort = z.string().transform((text, context) => {
  const [, path] = /^unix:(\/.+)$/.exec(text) ?? []
  if (path !== undefined) return { path }
  const [, v6, v4 = '', digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const host = v6 ?? v4
  const port = Number(digits)
  if (isIP(host) !== 0 && port >= 1 && port <= 65_535) return { host, port }
  context.addIssue({
    code: 'custom',
    message: 'expected an IP address and a port, such as 127.0.0.1:9050, or unix: and an absolute path',
  })
  return z.NEVER
})

const externalWorker = z
  .strictObject({
    kind: z.literal('external'),
    id: workerId,
    socks: torPort,
    /** Without it nothing is known of exits, circuits and isolation. */
    control: torPort.optional(),
    /** How we prove to it who we are: the file of its cookie, or a file that holds its password. */
    cookie_file: z.string().startsWith('/', 'expected an absolute path').optional(),
    password_file: z.string().startsWith('/', 'expected an absolute path').optional(),
  })
  .refine(
    ({ control, cookie_file: cookie, password_file: password }) =>
      control === undefined
        ? cookie === undefined && password === undefined
        : (cookie === undefined) !== (password === undefined),
    'expected either no control port, or a control port with a cookie_file or a password_file, one of the two',
  )

/** Four local workers named as the original names them. */
const FOUR_LOCAL_WORKERS = ['tor01', 'tor02', 'tor03', 'tor04'].map((id) => ({ kind: 'local' as const, id, torrc: [] }))

/** The configuration file. Every field may be left out; an unknown one is a fault. */
export const configSchema = z.strictObject({
  listen: listen.prefault('127.0.0.1:32211'),
  /** Whether the API asks for a key. */
  auth: onOrOff.default('on'),
  /** What protects the ports that others can reach: our own certificate, or something in front of us. */
  tls: z
    .union(
      [z.literal('offloaded'), z.strictObject({ cert_file: path, key_file: path })],
      'expected cert_file and key_file with absolute paths, or offloaded',
    )
    .optional(),
  /** The names by which clients may call the API, besides loopback and the address that it listens on. */
  hosts: z.array(hostName).max(100).default([]),
  /** The ports for programs that speak to proxies. */
  proxy: z
    .strictObject({
      /** HTTP; 127.0.0.1:8118 when left out. */
      http: proxyPort.optional(),
      /** SOCKS5; 127.0.0.1:1080 when left out. */
      socks: proxyPort.optional(),
      /** One port for the two of them, which then are off when left out. */
      both: proxyPort.optional(),
      /** Whether clients have to give a key as the password; as `auth` when left out. */
      auth: onOrOff.optional(),
      /** How long nothing may flow before a tunnel is ended. */
      idle_timeout: duration
        .refine((ms) => ms >= MIN_IDLE_MS && ms <= MAX_IDLE_MS, 'expected a duration from 1s to 7d')
        .prefault('5m'),
    })
    .prefault({})
    .transform(({ http, socks, both: written, ...rest }) => {
      const both = written === 'off' ? undefined : written
      const unlessBoth = (port: number) => (both ? ('off' as const) : { host: '127.0.0.1', port })
      return { ...rest, both, http: http ?? unlessBoth(8118), socks: socks ?? unlessBoth(1080) }
    }),
  /** Where the store and the workers' directories are. */
  state: z.string().min(1).optional(),
  log: z.enum(['error', 'warn', 'info', 'debug', 'silent']).default('info'),
  /** `auto`: text for people where standard error is a terminal, else JSON lines. */
  log_format: z.enum(LOG_FORMATS).default('auto'),
  /** Whether lines about requests, which are of level `debug`, have a hash of the host with a key that is of the day. */
  log_targets: z.enum(LOG_TARGETS).default('off'),
  /** The balancing mode of a new installation; one that was set by the API wins. */
  mode: z.enum(MODES).default('round_robin'),
  workers: z
    .array(z.discriminatedUnion('kind', [localWorker, openwrtWorker, externalWorker]))
    .min(1)
    .max(1_000)
    .default(FOUR_LOCAL_WORKERS),
  tor: z
    .strictObject({
      /** The command that runs tor, and what stands before it. */
      command: z.array(z.string().min(1)).min(1).default(['tor']),
      /** Further torrc lines for every local worker. */
      torrc: z.array(z.string()).default([]),
      /** False only for a private Tor network that is on private addresses itself. */
      reject_internal_addresses: z.boolean().default(true),
    })
    .prefault({}),
  circuits: z
    .strictObject({
      /** Clean circuits that each worker keeps for identities to come. */
      stock: z.int().min(0).max(1_000).default(3),
      /** Circuits to exits per second and guard, in the long run, by all workers together; */
      rate: z.number().positive().max(1_000_000).default(2),
      /** and as many at once. */
      burst: z.int().min(1).max(1_000_000).default(60),
      /** Circuits that one worker has under way at the same time. */
      max_building: z.int().min(1).max(1_000).default(32),
    })
    .prefault({}),
  exits: z
    .strictObject({
      /** An exit rule is met only where so many exits satisfy it, */
      min_exits: z.int().min(1).max(1_000).default(5),
      /** of so many families: who leaves by the only exit of a country is known by it. */
      min_families: z.int().min(1).max(1_000).default(3),
    })
    .prefault({}),
  tunnels: z
    .strictObject({
      /** The socket of a tunnel helper that runs already; when left out, the service starts one, if it may. */
      helper: z.string().startsWith('/', 'expected an absolute path').optional(),
    })
    .prefault({}),
  targets: targetsSchema.prefault({}),
  limits: limitsSchema.prefault({}),
  jobs: jobsSchema.prefault({}),
  politeness: politenessSchema.prefault({}),
  health: z
    .strictObject({
      check_interval: duration.prefault('10s'),
      check_timeout: duration.prefault('10s'),
      failure_threshold: z.int().min(1).max(100).default(3),
      recovery_backoff: z.array(duration).min(1).prefault(['1s', '2s', '4s', '8s', '16s', '32s']),
      reboot_after_attempts: z.int().min(1).max(100).default(6),
      reboot_wait: duration.prefault('90s'),
      /** How often healthy workers are made to have circuits to spare. */
      warm_up_interval: duration.prefault('10m'),
      /** How often each worker gets new circuits, one worker at a time; never when left out. */
      rotation_interval: duration.optional(),
    })
    .prefault({}),
  checks: z
    .strictObject({
      clearnet: z.array(webUrl).default(['https://check.torproject.org/api/ip']),
      /** The six onion test sites of the health check when left out. */
      onion: z.array(onionUrl).optional(),
    })
    .prefault({}),
})

export type ConfigDocument = z.output<typeof configSchema>

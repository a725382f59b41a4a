import { isIP } from 'node:net'
import { z } from 'zod'
import { MODES } from '../domain/exchange.ts'
import { LOG_TARGETS } from '../events/request-log.ts'
import { LOG_FORMATS } from '../lib/log.ts'
import { ADDRESS_FORMS, parseListenAddress } from '../listen/address.ts'
import { clusterSchema, storeSchema } from './cluster.ts'
import { durationFrom } from './duration-field.ts'
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

const path = z.string('expected an absolute path').startsWith('/', 'expected an absolute path')

/** A name or an address, as clients write it, with or without a port. */
const NO_NAME = 'expected a host name, such as cbtor.lan or cbtor.lan:443'
const hostName = z
  .string(NO_NAME)
  .toLowerCase()
  .regex(/^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::\d{1,5})?$/, NO_NAME)
  .meta({ pattern: '^(?:[A-Za-z0-9_-]+(?:\\.[A-Za-z0-9_-]+)*|\\[[0-9A-Fa-f:.]+\\])(?::\\d{1,5})?$' })

/** A whole number in a range. */
const whole = (min: number, max: number) => {
  const message = `expected a whole number from ${min} to ${max}`
  return z.int(message).min(min, message).max(max, message)
}

const onOrOff = z.enum(['on', 'off'], 'expected on or off')

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
/** Timers go no further than 24 of them. */
const DAY_MS = 24 * 60 * MINUTE_MS

const webUrl = z.url({ protocol: /^https?$/, error: 'expected an http or https URL' }).meta({ pattern: '^https?://' })

const onionUrl = webUrl.refine(
  (url) => new URL(url).hostname.endsWith('.onion'),
  'expected the URL of an onion service',
)

const NO_ID = 'expected a letter, then up to 31 letters, digits or hyphens'
const workerId = z
  .string(NO_ID)
  .regex(/^[a-z][a-z0-9-]{0,31}$/, NO_ID)
  .describe('Its name: a small letter, then up to 31 small letters, digits or hyphens. No other worker has it.')
  .meta({ examples: ['tor01'] })

const localWorker = z.strictObject({
  kind: z.literal('local').describe('A tor process that CBTOR starts and watches.'),
  id: workerId,
  torrc: z
    .array(z.string())
    .default([])
    .describe('Further torrc lines for this worker, after those of tor.torrc.')
    .meta({ examples: [['MaxCircuitDirtiness 300']] }),
})

/** What `cbtor workers install` has written down of the box is not said again here. */
const openwrtWorker = z.strictObject({
  kind: z.literal('openwrt').describe('A box that cbtor workers install has made a worker of.'),
  id: workerId,
  clearnet: z
    .enum(['transparent', 'socks'])
    .default('transparent')
    .describe('How clearnet goes into its Tor. Onion services, sticky keys and IP addresses always go by SOCKS.'),
})

/** `unix:PATH`, or an IP address and a port. A name would be resolved outside Tor. */
const NO_TOR_PORT = 'expected an IP address and a port, such as 127.0.0.1:9050, or unix: and an absolute path'
const torPort = z.string(NO_TOR_PORT).transform((text, context) => {
  const [, path] = /^unix:(\/.+)$/.exec(text) ?? []
  if (path !== undefined) return { path }
  const [, v6, v4 = '', digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const host = v6 ?? v4
  const port = Number(digits)
  if (isIP(host) !== 0 && port >= 1 && port <= 65_535) return { host, port }
  context.addIssue({ code: 'custom', message: NO_TOR_PORT })
  return z.NEVER
})

const externalWorker = z
  .strictObject({
    kind: z.literal('external').describe('A Tor that somebody else runs.'),
    id: workerId,
    socks: torPort
      .describe('Its SOCKS port: an IP address and a port, or unix: and an absolute path.')
      .meta({ examples: ['127.0.0.1:9050', 'unix:/run/tor/socks'] }),
    control: torPort
      .optional()
      .describe('Its control port. Without it nothing is known of exits, circuits and isolation.')
      .meta({ examples: ['127.0.0.1:9051', 'unix:/run/tor/control'] }),
    cookie_file: path
      .optional()
      .describe('The file of its control cookie. With control goes this or password_file, one of the two.'),
    password_file: path
      .optional()
      .describe('A file that holds the password of its control port. It is read when the worker is made.'),
  })
  .refine(
    ({ control, cookie_file: cookie, password_file: password }) =>
      control === undefined
        ? cookie === undefined && password === undefined
        : (cookie === undefined) !== (password === undefined),
    'expected either no control port, or a control port with a cookie_file or a password_file, one of the two',
  )

/** Four local workers named as the original names them. */
const FOUR_LOCAL_WORKERS = ['tor01', 'tor02', 'tor03', 'tor04'].map((id) => ({ kind: 'local' as const, id }))

/** The configuration file. Every field may be left out; an unknown one is a fault. What is said here is what editors show. */
export const configSchema = z.strictObject({
  listen: listen
    .prefault('127.0.0.1:32211')
    .describe(
      'Where the API listens: an IP address and a port, or unix: and an absolute path. What others can reach takes keys and tls.',
    )
    .meta({ examples: ['127.0.0.1:32211', '[::1]:32211', 'unix:/run/cbtor/api.sock', '0.0.0.0:32211'] }),
  auth: onOrOff.default('on').describe('Whether the API asks for a key. off only on loopback and unix sockets.'),
  tls: z
    .union(
      [
        z.literal('offloaded').describe('Something in front, such as a reverse proxy, does TLS.'),
        z.strictObject({
          cert_file: path.describe('The certificate with its chain, PEM. Read anew when it changes.'),
          key_file: path.describe('The private key of the certificate, PEM.'),
        }),
      ],
      'expected cert_file and key_file with absolute paths, or offloaded',
    )
    .optional()
    .describe('What protects the ports that others can reach: a certificate of our own, or something in front of us.')
    .meta({ examples: [{ cert_file: '/etc/cbtor/cert.pem', key_file: '/etc/cbtor/key.pem' }, 'offloaded'] }),
  hosts: z
    .array(hostName)
    .max(100, 'expected 100 names at most')
    .default([])
    .describe('Names by which clients call the API, besides loopback and the address that it listens on.')
    .meta({ examples: [['cbtor.lan', 'cbtor.example.org:8443']] }),
  shutdown_timeout: durationFrom(SECOND_MS, 10 * MINUTE_MS, '1s to 10m')
    .prefault('10s')
    .describe('How long requests and tunnels may go on once the service is asked to end: 1s to 10m.'),
  proxy: z
    .strictObject({
      http: proxyPort
        .optional()
        .describe('The port for HTTP proxy clients, or off. 127.0.0.1:8118 when left out, off when both is an address.')
        .meta({ examples: ['127.0.0.1:8118', 'off'] }),
      socks: proxyPort
        .optional()
        .describe('The port for SOCKS5 clients, or off. 127.0.0.1:1080 when left out, off when both is an address.')
        .meta({ examples: ['127.0.0.1:1080', 'off'] }),
      both: proxyPort
        .optional()
        .describe('One port for HTTP and SOCKS5, or off; off when left out.')
        .meta({ examples: ['127.0.0.1:9050', 'off'] }),
      auth: onOrOff.optional().describe('Whether clients give a key as the password; as auth when left out.'),
      idle_timeout: durationFrom(SECOND_MS, 7 * DAY_MS, '1s to 7d')
        .prefault('5m')
        .describe('After so long without a byte a tunnel is ended: 1s to 7d.'),
    })
    .prefault({})
    .transform(({ http, socks, both: written, ...rest }) => {
      const both = written === 'off' ? undefined : written
      const unlessBoth = (port: number) => (both ? ('off' as const) : { host: '127.0.0.1', port })
      return { ...rest, both, http: http ?? unlessBoth(8118), socks: socks ?? unlessBoth(1080) }
    })
    .describe('The ports for programs that speak to proxies.'),

  state: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Where the store and the workers' directories are: an absolute path. $XDG_STATE_HOME/cbtor when left out.",
    )
    .meta({ examples: ['/var/lib/cbtor'] }),
  store: storeSchema
    .default('embedded')
    .describe(
      'embedded: a file in the state directory. Else the Valkey or Redis that all replicas of the pool share: redis://IP:PORT, rediss://IP:PORT for TLS, or redis+unix:///path.',
    )
    .meta({
      examples: [
        'embedded',
        'redis://10.0.0.5:6379',
        'rediss://10.0.0.5:6380/1',
        'redis+unix:///run/valkey/valkey.sock?db=1',
      ],
    }),
  cluster: clusterSchema.prefault({}).describe('What joins this replica to others by a shared store.'),
  log: z
    .enum(['error', 'warn', 'info', 'debug', 'silent'])
    .default('info')
    .describe('The level of the log, which goes to standard error. debug has a line for each request.'),
  log_format: z
    .enum(LOG_FORMATS)
    .default('auto')
    .describe('json: a line of JSON each; pretty: a line of text; auto: pretty on a terminal, else json.'),
  log_targets: z
    .enum(LOG_TARGETS)
    .default('off')
    .describe(
      'hashed: lines about requests have a hash of the host, with a key that is drawn each day and never kept.',
    ),
  mode: z
    .enum(MODES)
    .default('round_robin')
    .describe('The balancing mode of a new installation. One that was set by the API is kept and wins.'),
  workers: z
    .array(z.discriminatedUnion('kind', [localWorker, openwrtWorker, externalWorker]))
    .min(1, 'expected 1 worker at least')
    .max(1_000, 'expected 1000 workers at most')
    .prefault(FOUR_LOCAL_WORKERS)
    .describe('The Tors that requests go through, 1 to 1000. Four local ones, tor01 to tor04, when left out.'),

  tor: z
    .strictObject({
      command: z
        .array(z.string().min(1))
        .min(1, 'expected the command that runs tor')
        .default(['tor'])
        .describe('The command that runs tor, and what stands before it.')
        .meta({ examples: [['/usr/bin/tor']] }),
      torrc: z
        .array(z.string())
        .default([])
        .describe('Further torrc lines for every local worker. Dangerous ones are refused.')
        .meta({ examples: [['ExcludeExitNodes {xx}']] }),
      reject_internal_addresses: z
        .boolean()
        .default(true)
        .describe('false only for a private Tor network that is on private addresses itself.'),
    })
    .prefault({})
    .describe('How local workers run tor.'),
  circuits: z
    .strictObject({
      stock: whole(0, 1_000).default(3).describe('Clean circuits that each worker keeps for identities to come.'),
      rate: z
        .number('expected a number above 0')
        .positive('expected a number above 0')
        .max(1_000_000, 'expected 1000000 at most')
        .default(2)
        .describe('Circuits to exits per second and guard, in the long run, by all workers together.'),
      burst: whole(1, 1_000_000).default(60).describe('As many circuits at once, per guard.'),
      max_building: whole(1, 1_000).default(32).describe('Circuits that one worker has under way at the same time.'),
    })
    .prefault({})
    .describe('Circuits that are built ahead, and the budget of each guard.'),
  exits: z
    .strictObject({
      min_exits: whole(1, 1_000).default(5).describe('An exit rule is met only where so many exits satisfy it.'),
      min_families: whole(1, 1_000)
        .default(3)
        .describe('Of so many families: who leaves by the only exit of a country is known by it.'),
    })
    .prefault({})
    .describe('When an exit rule (country, exclude_countries, distinct_from) may be met.'),
  tunnels: z
    .strictObject({
      helper: path
        .optional()
        .describe(
          'The socket of a tunnel helper that runs already. When left out, the service starts one if it needs it.',
        )
        .meta({ examples: ['/run/cbtor/tunnel.sock'] }),
    })
    .prefault({})
    .describe('The tunnels to boxes.'),
  targets: targetsSchema.prefault({}).describe('What may be reached through the workers.'),
  limits: limitsSchema
    .prefault({})
    .describe('What a key may use that says nothing itself, and how long requests wait.'),
  jobs: jobsSchema.prefault({}).describe('Fetches that take their time.'),
  politeness: politenessSchema.prefault({}).describe('What one host gets from one worker, or off.'),
  health: z
    .strictObject({
      check_interval: durationFrom(SECOND_MS, DAY_MS, '1s to 1d')
        .prefault('10s')
        .describe('From one check of a worker to the next, 1s to 1d; ± 10 %.'),
      check_timeout: durationFrom(SECOND_MS, 10 * MINUTE_MS, '1s to 10m')
        .prefault('10s')
        .describe('A check without a verdict by then has failed: 1s to 10m.'),
      failure_threshold: whole(1, 100)
        .default(3)
        .describe('Failures in a row that make a worker suspect, and as many more that make it dead.'),
      recovery_backoff: z
        .array(durationFrom(SECOND_MS, DAY_MS, '1s to 1d'))
        .min(1, 'expected 1 to 20 durations')
        .max(20, 'expected 1 to 20 durations')
        .prefault(['1s', '2s', '4s', '8s', '16s', '32s'])
        .describe('The waits after failed attempts to bring a worker back; the last one serves for all that follow.'),
      reboot_after_attempts: whole(1, 100).default(6).describe('Failed attempts after which a box is rebooted.'),
      reboot_wait: durationFrom(SECOND_MS, 60 * MINUTE_MS, '1s to 1h')
        .prefault('90s')
        .describe('How long a box that reboots is left alone: 1s to 1h.'),
      warm_up_interval: durationFrom(SECOND_MS, 7 * DAY_MS, '1s to 7d')
        .prefault('10m')
        .describe('Healthy workers are made to have circuits to spare so often: 1s to 7d.'),
      rotation_interval: durationFrom(SECOND_MS, 7 * DAY_MS, '1s to 7d')
        .optional()
        .describe('Each worker gets new circuits so often, 1s to 7d, one worker at a time; never when left out.')
        .meta({ examples: ['1h'] }),
    })
    .prefault({})
    .describe('How workers are watched and brought back.'),
  checks: z
    .strictObject({
      clearnet: z
        .array(webUrl)
        .default(['https://check.torproject.org/api/ip'])
        .describe('Pages that checks of workers fetch.'),
      onion: z
        .array(onionUrl)
        .optional()
        .describe('Onion pages that are fetched for the statistics; the six onion test sites when left out.'),
    })
    .prefault({})
    .describe('The check endpoints.'),
})

export type ConfigDocument = z.output<typeof configSchema>

import { createHash, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ConfigError, type ServiceConfig } from './config/read-config.ts'
import { CbtorError } from './domain/errors.ts'
import type { Metrics } from './events/metrics.ts'
import type { RequestLog } from './events/request-log.ts'
import type { Fetcher } from './fetch/fetcher.ts'
import type { Clock } from './lib/clock.ts'
import type { Logger } from './lib/log.ts'
import type { Random } from './lib/random.ts'
import { type ListenAddress, showListenAddress } from './listen/address.ts'
import type { Pool } from './pool/pool.ts'
import type { ProxyBackend } from './proxy/backend.ts'
import { ProxyListener } from './proxy/listener.ts'
import type { ListenerTls } from './service-certificate.ts'
import type { WorkerUnit } from './worker-unit.ts'

export interface ProxyParts {
  readonly fetcher: Pick<Fetcher, 'dialer' | 'forwarder'>
  readonly pool: Pick<Pool<WorkerUnit>, 'entries'>
  readonly metrics: Metrics
  readonly requests: RequestLog
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** The ports that listen, as clients are told of them; undefined where one is off. Disposing it closes them. */
export interface ProxyPorts extends AsyncDisposable {
  readonly http: string | undefined
  readonly socks: string | undefined
}

/** Resolves when the proxy's ports listen. Rejects with a `ConfigError` when one of them cannot. */
export async function openProxyPorts(
  config: ServiceConfig['proxy'],
  parts: ProxyParts,
  tls: Pick<ListenerTls, 'of'>,
): Promise<ProxyPorts> {
  const { clock, random, logger } = parts
  const backend = createProxyBackend(parts, passwordIn(config.password_file))
  const limits = { idleMs: config.idle_timeout }
  await using ends = new AsyncDisposableStack()
  const listener = ends.use(new ProxyListener({ backend, clock, random, logger, limits }))

  const listen = async (name: 'http' | 'socks' | 'both') => {
    const at = config[name]
    if (at === undefined || at === 'off') return undefined
    const secured = tls.of(at)
    const bound = await listener.listen(name === 'both' ? 'any' : name, at, secured).catch((error: unknown) => {
      const why = error instanceof CbtorError ? error.message : String(error)
      throw new ConfigError([`proxy.${name}: ${why}; free it, set another one, or "off"`])
    })
    return { at: bound, isSecured: secured !== undefined }
  }
  const both = await listen('both')
  const http = (await listen('http')) ?? both
  const socks = (await listen('socks')) ?? both
  const owned = ends.move()
  const show = (scheme: string, { at }: { readonly at: ListenAddress }) =>
    'path' in at ? showListenAddress(at) : `${scheme}://${showListenAddress(at)}`
  return {
    http: http && show(http.isSecured ? 'https' : 'http', http),
    // The h has the proxy look names up; without it many programs ask their own resolver first.
    socks: socks && show(socks.isSecured ? 'socks5h+tls' : 'socks5h', socks),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** What the ports ask for, done with the parts. `password`: what clients have to show, if anything. */
export function createProxyBackend(
  { fetcher, pool, metrics, requests, clock }: Omit<ProxyParts, 'random' | 'logger'>,
  password: string | undefined,
): ProxyBackend {
  const expected = password === undefined ? undefined : digest(password)
  return {
    async openTunnel(request, { earlyData }, signal) {
      const line = requests.begin('tunnel', request)
      try {
        const tunnel = await fetcher.dialer.open(request, earlyData, signal)
        const { worker, socket, attempts } = tunnel
        metrics.tunnelOpened(tunnel)
        socket.once('close', () => metrics.tunnelClosed(worker))
        return {
          ...{ socket, worker },
          exit: (waitMs) => tunnel.exit(waitMs),
          lost: () => tunnel.lost(),
          ended(outcome) {
            const { bytesRead: received, bytesWritten: sent } = socket
            metrics.tunnelEnded(worker, outcome, socket)
            line.ended({ outcome, worker, sent, received, attempts })
          },
          [Symbol.dispose]: () => tunnel[Symbol.dispose](),
        }
      } catch (error) {
        metrics.tunnelFailed(error)
        line.failed(error)
        throw error
      }
    },
    async resolve(request, signal) {
      const line = requests.begin('resolve', request)
      try {
        const address = await fetcher.dialer.resolve(request, signal)
        line.ended({})
        return address
      } catch (error) {
        line.failed(error)
        throw error
      }
    },
    async forward(request, signal) {
      const line = requests.begin('forward', request)
      const began = clock.monotonic()
      try {
        const answer = await fetcher.forwarder.forward(request, signal)
        metrics.requestAnswered({ ...answer, timing: { totalMs: clock.monotonic() - began } })
        const { status, worker, attempts } = answer
        return { ...answer, ended: (ending) => line.ended({ ...ending, status, worker, attempts }) }
      } catch (error) {
        metrics.requestFailed(error, clock.monotonic() - began)
        line.failed(error)
        throw error
      }
    },
    requiresPassword: expected !== undefined,
    authenticate: (given) => expected === undefined || timingSafeEqual(digest(given ?? ''), expected),
    workerIdOf: (ref) => pool.entries().find(({ name }) => name.id === ref || String(name.n) === ref)?.name.id,
  }
}

/** Of the same length whatever the text has, so that comparing tells nothing of it. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function passwordIn(file: string | undefined): string | undefined {
  if (file === undefined) return undefined
  let password: string
  try {
    password = readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    throw new ConfigError([
      `proxy.password_file: ${file} cannot be read: ${error instanceof Error ? error.message : error}`,
    ])
  }
  if (password.length > 0) return password
  throw new ConfigError([`proxy.password_file: ${file} is empty: expected a password`])
}

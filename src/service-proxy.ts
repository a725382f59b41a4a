import { createHash, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ConfigError, type ServiceConfig } from './config/read-config.ts'
import { CbtorError } from './domain/errors.ts'
import type { Metrics } from './events/metrics.ts'
import type { Fetcher } from './fetch/fetcher.ts'
import type { Clock } from './lib/clock.ts'
import type { Logger } from './lib/log.ts'
import type { Random } from './lib/random.ts'
import type { Pool } from './pool/pool.ts'
import type { ProxyBackend } from './proxy/backend.ts'
import { ProxyListener } from './proxy/listener.ts'
import type { WorkerUnit } from './worker-unit.ts'

export interface ProxyParts {
  readonly fetcher: Pick<Fetcher, 'dialer' | 'forwarder'>
  readonly pool: Pick<Pool<WorkerUnit>, 'entries'>
  readonly metrics: Metrics
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
export async function openProxyPorts(config: ServiceConfig['proxy'], parts: ProxyParts): Promise<ProxyPorts> {
  const { clock, random, logger } = parts
  const backend = createProxyBackend(parts, passwordIn(config.password_file))
  const limits = { idleMs: config.idle_timeout }
  await using ends = new AsyncDisposableStack()
  const listener = ends.use(new ProxyListener({ backend, clock, random, logger, limits }))

  const listen = async (name: 'http' | 'socks' | 'both') => {
    const at = config[name]
    if (at === undefined || at === 'off') return undefined
    const bound = await listener.listen(name === 'both' ? 'any' : name, at).catch((error: unknown) => {
      const why = error instanceof CbtorError ? error.message : String(error)
      throw new ConfigError([`proxy.${name}: ${why}; free it, set another one, or "off"`])
    })
    return `${bound.host.includes(':') ? `[${bound.host}]` : bound.host}:${bound.port}`
  }
  const both = await listen('both')
  const http = (await listen('http')) ?? both
  const socks = (await listen('socks')) ?? both
  const owned = ends.move()
  return {
    http: http && `http://${http}`,
    // The h has the proxy look names up; without it many programs ask their own resolver first.
    socks: socks && `socks5h://${socks}`,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** What the ports ask for, done with the parts. `password`: what clients have to show, if anything. */
export function createProxyBackend(
  { fetcher, pool, metrics, clock }: Omit<ProxyParts, 'random' | 'logger'>,
  password: string | undefined,
): ProxyBackend {
  const expected = password === undefined ? undefined : digest(password)
  return {
    async openTunnel(request, { earlyData }, signal) {
      try {
        const tunnel = await fetcher.dialer.open(request, earlyData, signal)
        const { worker, socket } = tunnel
        metrics.tunnelOpened(tunnel)
        socket.once('close', () => metrics.tunnelClosed(worker))
        return {
          ...{ socket, worker },
          exit: (waitMs) => tunnel.exit(waitMs),
          lost: () => tunnel.lost(),
          ended: (outcome) => metrics.tunnelEnded(worker, outcome, socket),
          [Symbol.dispose]: () => tunnel[Symbol.dispose](),
        }
      } catch (error) {
        metrics.tunnelFailed(error)
        throw error
      }
    },
    resolve: (request, signal) => fetcher.dialer.resolve(request, signal),
    async forward(request, signal) {
      const began = clock.monotonic()
      try {
        const answer = await fetcher.forwarder.forward(request, signal)
        metrics.requestAnswered({ ...answer, timing: { totalMs: clock.monotonic() - began } })
        return answer
      } catch (error) {
        metrics.requestFailed(error, clock.monotonic() - began)
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

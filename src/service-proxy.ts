import type { KeyRing } from './auth/key-ring.ts'
import { ConfigError, type ServiceConfig } from './config/read-config.ts'
import { ANYBODY } from './domain/caller.ts'
import { CbtorError } from './domain/errors.ts'
import type { Fetcher } from './fetch/fetcher.ts'
import type { Clock } from './lib/clock.ts'
import type { Logger } from './lib/log.ts'
import type { Random } from './lib/random.ts'
import { type ListenAddress, showListenAddress } from './listen/address.ts'
import type { Pool } from './pool/pool.ts'
import type { ProxyBackend } from './proxy/backend.ts'
import { ProxyListener } from './proxy/listener.ts'
import type { ListenerTls } from './service-certificate.ts'
import { carryOut, type RequestParts } from './service-request.ts'
import type { WorkerUnit } from './worker-unit.ts'

export interface ProxyParts extends RequestParts {
  readonly fetcher: Pick<Fetcher, 'dialer' | 'forwarder'>
  readonly pool: Pick<Pool<WorkerUnit>, 'entries'>
  readonly keys: Pick<KeyRing, 'authenticate' | 'onGone'>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** The ports that listen, as clients are told of them; undefined where one is off. Disposing it closes them. */
export interface ProxyPorts extends AsyncDisposable {
  readonly http: string | undefined
  readonly socks: string | undefined
  /** For tunnels that come to stand from now on. */
  reconfigure(config: Pick<ServiceConfig['proxy'], 'idle_timeout'>): void
}

/** Resolves when the proxy's ports listen. Rejects with a `ConfigError` when one of them cannot. */
export async function openProxyPorts(
  config: ServiceConfig['proxy'] & { readonly drainMs: number },
  parts: ProxyParts,
  tls: Pick<ListenerTls, 'of'>,
): Promise<ProxyPorts> {
  const { clock, random, logger } = parts
  const backend = createProxyBackend(parts, config.auth === 'on' ? parts.keys : undefined)
  const limits = { idleMs: config.idle_timeout }
  await using ends = new AsyncDisposableStack()
  const listener = ends.use(new ProxyListener({ backend, clock, random, logger, limits, drainMs: config.drainMs }))

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
    reconfigure: ({ idle_timeout: idleMs }) => listener.reconfigure({ idleMs }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** What the ports ask for, done with the parts. `keys`: those that clients have to show one of, if any. */
export function createProxyBackend(
  parts: Omit<ProxyParts, 'clock' | 'random' | 'logger' | 'keys'>,
  keys: Pick<KeyRing, 'authenticate' | 'onGone'> | undefined,
): ProxyBackend {
  const { fetcher, pool } = parts
  return {
    openTunnel: (request, { earlyData }, signal) =>
      carryOut(parts, 'tunnel', request, signal, async ({ request: asked, line, admitted, signal: until, ends }) => {
        const tunnel = ends.use(await fetcher.dialer.open(asked, earlyData, until))
        admitted.stands()
        const { worker, socket, attempts } = tunnel
        const owned = ends.move()
        line.answered({ worker, attempts })
        let isEnded = false
        return {
          ...{ socket, worker },
          exit: (waitMs) => tunnel.exit(waitMs),
          lost: () => tunnel.lost(),
          ended(outcome) {
            isEnded = true
            const { bytesRead: received, bytesWritten: sent } = socket
            line.ended({ outcome, worker, sent, received, attempts })
          },
          [Symbol.dispose]() {
            owned.dispose()
            if (!isEnded) line.ended({ outcome: 'client_gone', worker, attempts })
          },
        }
      }),
    resolve: (request, signal) =>
      carryOut(parts, 'resolve', request, signal, async ({ request: asked, line, signal: until }) => {
        const address = await fetcher.dialer.resolve(asked, until)
        line.ended({})
        return address
      }),
    forward: (request, signal) =>
      carryOut(parts, 'forward', request, signal, async ({ request: asked, line, signal: until, ends }) => {
        const answer = await fetcher.forwarder.forward(asked, until)
        const owned = ends.move()
        answer.body.once('close', () => owned.dispose())
        const { status, worker, attempts } = answer
        line.answered({ worker, attempts })
        return { ...answer, ended: (ending) => line.ended({ ...ending, status, worker, attempts }) }
      }),
    requiresPassword: keys !== undefined,
    authenticate: (password) => (keys === undefined ? ANYBODY : keys.authenticate(password ?? '')),
    onGone: ({ id }, listener) => keys?.onGone(id, listener) ?? { [Symbol.dispose]() {} },
    workerIdOf: (ref) => pool.entries().find(({ name }) => name.id === ref || String(name.n) === ref)?.name.id,
  }
}

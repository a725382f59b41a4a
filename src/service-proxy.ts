import type { KeyRing } from './auth/key-ring.ts'
import { ConfigError, type ServiceConfig } from './config/read-config.ts'
import { ANYBODY } from './domain/caller.ts'
import { CbtorError } from './domain/errors.ts'
import type { Metrics } from './events/metrics.ts'
import type { RequestLog } from './events/request-log.ts'
import type { Fetcher } from './fetch/fetcher.ts'
import type { Clock } from './lib/clock.ts'
import type { Logger } from './lib/log.ts'
import type { Random } from './lib/random.ts'
import type { Admission } from './limits/admission.ts'
import { type ListenAddress, showListenAddress } from './listen/address.ts'
import type { Pool } from './pool/pool.ts'
import type { ProxyBackend } from './proxy/backend.ts'
import { ProxyListener } from './proxy/listener.ts'
import type { ListenerTls } from './service-certificate.ts'
import type { WorkerUnit } from './worker-unit.ts'

export interface ProxyParts {
  readonly fetcher: Pick<Fetcher, 'dialer' | 'forwarder'>
  readonly pool: Pick<Pool<WorkerUnit>, 'entries'>
  readonly keys: Pick<KeyRing, 'authenticate' | 'onGone'>
  readonly metrics: Metrics
  readonly requests: RequestLog
  readonly admission: Admission
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
  const backend = createProxyBackend(parts, config.auth === 'on' ? parts.keys : undefined)
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

/** What the ports ask for, done with the parts. `keys`: those that clients have to show one of, if any. */
export function createProxyBackend(
  { fetcher, pool, metrics, requests, admission, clock }: Omit<ProxyParts, 'random' | 'logger' | 'keys'>,
  keys: Pick<KeyRing, 'authenticate' | 'onGone'> | undefined,
): ProxyBackend {
  return {
    async openTunnel(request, { earlyData }, signal) {
      const line = requests.begin('tunnel', request)
      using ends = new DisposableStack()
      try {
        const admitted = ends.use(admission.admit(request.caller))
        const until = AbortSignal.any([signal, admitted.signal])
        const tunnel = ends.use(await fetcher.dialer.open(request, earlyData, until))
        admitted.stands()
        const { worker, socket, attempts } = tunnel
        const owned = ends.move()
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
          [Symbol.dispose]: () => owned.dispose(),
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
        using admitted = admission.admit(request.caller)
        const address = await fetcher.dialer.resolve(request, AbortSignal.any([signal, admitted.signal]))
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
      using ends = new DisposableStack()
      try {
        const admitted = ends.use(admission.admit(request.caller))
        const until = AbortSignal.any([signal, admitted.signal])
        const answer = await fetcher.forwarder.forward(request, until)
        const owned = ends.move()
        answer.body.once('close', () => owned.dispose())
        metrics.requestAnswered({ ...answer, timing: { totalMs: clock.monotonic() - began } })
        const { status, worker, attempts } = answer
        return { ...answer, ended: (ending) => line.ended({ ...ending, status, worker, attempts }) }
      } catch (error) {
        metrics.requestFailed(error, clock.monotonic() - began)
        line.failed(error)
        throw error
      }
    },
    requiresPassword: keys !== undefined,
    authenticate: (password) => (keys === undefined ? ANYBODY : keys.authenticate(password ?? '')),
    onGone: ({ id }, listener) => keys?.onGone(id, listener) ?? { [Symbol.dispose]() {} },
    workerIdOf: (ref) => pool.entries().find(({ name }) => name.id === ref || String(name.n) === ref)?.name.id,
  }
}

import type { Socket } from 'node:net'
import { CbtorError } from '../domain/errors.ts'
import type { Attempt, Routing, TunnelRequest } from '../domain/exchange.ts'
import { type Exit, isOnionHost } from '../domain/worker.ts'
import { deadline, onAbort } from '../lib/abort.ts'
import type { Passage } from './passage.ts'
import { type Going, throughWorkers } from './through-workers.ts'
import type { Traffic } from './traffic.ts'

/** A stream to a target that its client has to itself. Dispose it when it has ended: that destroys the socket. */
export interface Tunnel extends Disposable {
  /** Connected. It is destroyed when its worker is lost, when the signal aborts, and when the service ends. */
  readonly socket: Socket
  readonly worker: string
  /** In the order in which they began; the last one made it stand. */
  readonly attempts: readonly Attempt[]
  /** As of `WorkerStream`. */
  exit(waitMs: number): Promise<Exit | undefined>
  /** Asked when the socket has come to its end: whether its worker was lost, which is known a moment later. Never rejects. */
  lost(): Promise<boolean>
}

export interface DialerOptions {
  readonly traffic: Traffic
  /** Told when a session of a tunnel is on another worker or exit than before. */
  onSessionMoved(worker: string): void
}

/** For all workers that are tried. An onion service may take a minute to meet. */
const CONNECT_WITHIN_MS = 60_000
const ONION_CONNECT_WITHIN_MS = 120_000
/** As long as Tor may need to tell. */
const EXIT_WAIT_MS = 5_000

/** Opens tunnels, and looks up names, for those who speak to targets themselves. */
export class Dialer {
  readonly #traffic: Traffic
  readonly #onSessionMoved: (worker: string) => void

  constructor(options: DialerOptions) {
    this.#traffic = options.traffic
    this.#onSessionMoved = (worker) => options.onSessionMoved(worker)
  }

  /**
   * Resolves once a worker says that the target answers. `earlyData`: what the client says first, if that may be sent twice: a
   * worker that fails may have delivered it. Rejects with a CbtorError that has the `attempts`, or with the signal's reason.
   */
  async open(request: TunnelRequest, earlyData: Uint8Array | undefined, signal: AbortSignal): Promise<Tunnel> {
    const target = this.#traffic.policyFor(request).checkTarget(request.host, request.port)
    using ends = new DisposableStack()
    const passage = ends.use(await this.#traffic.begin(request, target.host, signal))
    const tunnel = await this.#reach(passage, request, target.host, async ({ turn, trial, connecting }) => {
      const { lease } = turn
      // The client of a tunnel is told that it stands, and cannot be told later that nobody knew.
      const options = { mustBeConfirmed: true, ...(earlyData && { earlyData }) }
      const stream = await connecting(() => lease.connect(target, passage.identity, trial.signal, options))
      // Until somebody reads it, its failure must not end the process.
      const socket = stream.socket.on('error', () => {})
      passage.keep({ [Symbol.dispose]: () => socket.destroy() })
      passage.keep(onAbort(passage.signal, () => socket.destroy()))
      passage.keep(onAbort(trial.signal, () => socket.destroy()))
      trial.streamMade()
      trial.over()
      turn.succeed()
      lease.stands?.()
      const { id: worker } = lease.worker
      this.#told(passage, worker, undefined)
      void stream.exit(EXIT_WAIT_MS).then((exit) => {
        if (exit !== undefined) this.#told(passage, worker, exit)
        else if (!isOnionHost(target.host)) passage.cameByUnknownExit()
      })
      return {
        ...{ socket, worker, attempts: passage.tries.attempts },
        exit: (waitMs: number) => stream.exit(waitMs),
        lost: async () => {
          await trial.verdict(this.#traffic.verdictMs)
          return trial.signal.aborted
        },
        [Symbol.dispose]: () => passage[Symbol.dispose](),
      }
    })
    ends.move()
    return tunnel
  }

  /** The address of a name, as an exit sees it. Rejects as `open` does. */
  async resolve(request: Routing & { readonly host: string }, signal: AbortSignal): Promise<string> {
    const host = this.#traffic.policyFor(request).checkName(request.host)
    if (isOnionHost(host)) {
      throw new CbtorError('resolve_failed', 'Cannot resolve the name: an onion service has no address')
    }
    using passage = await this.#traffic.begin(request, host, signal)
    return await this.#reach(passage, request, host, async ({ turn, trial, connecting }) => {
      const address = await connecting(() => turn.lease.resolve(host, passage.identity, trial.signal))
      turn.end('ok')
      this.#told(passage, turn.lease.worker.id, undefined)
      return address
    })
  }

  async #reach<T>(passage: Passage, request: Routing, host: string, attempt: (going: Going) => Promise<T>): Promise<T> {
    const traffic = this.#traffic
    const isOnion = isOnionHost(host)
    const withinMs = isOnion ? ONION_CONNECT_WITHIN_MS : CONNECT_WITHIN_MS
    const connectBy = traffic.clock.monotonic() + withinMs
    const late = () => new CbtorError('timeout', `Cannot connect to the target within ${withinMs} ms`)
    using limit = deadline(traffic.clock, withinMs, passage.signal, late)
    // What is sent early may be sent twice, and nothing else is before the worker has connected.
    const options = { traffic, passage, request, method: 'GET', isOnion, connectBy, signal: limit.signal }
    const value = await throughWorkers<T>(options, async (going) => ({ type: 'good', value: await attempt(going) }))
    passage.signal.throwIfAborted()
    return value
  }

  #told(passage: Passage, worker: string, exit: Exit | undefined): void {
    if (passage.answered(worker, exit)) this.#onSessionMoved(worker)
  }
}

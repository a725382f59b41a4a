import { createHmac } from 'node:crypto'
import { CbtorError, codeOf } from '../domain/errors.ts'
import type { Attempt, Routing } from '../domain/exchange.ts'
import type { ProblemCode } from '../domain/problems.ts'
import type { AnsweredRequest, EndedRequest, RequestKind, RequestWatch } from '../domain/request-watch.ts'
import { isOnionHost } from '../domain/worker.ts'
import type { Clock } from '../lib/clock.ts'
import { faultFields } from '../lib/fault-fields.ts'
import type { LogFields, Logger } from '../lib/log.ts'
import type { Random } from '../lib/random.ts'

/** Whether lines of the log tell requests for the same host from others: by nothing, or by a hash with a key of the day. */
export const LOG_TARGETS = ['off', 'hashed'] as const
export type LogTargets = (typeof LOG_TARGETS)[number]

export interface RequestLogOptions {
  readonly clock: Clock
  readonly random: Pick<Random, 'bytes'>
  readonly logger: Logger
  readonly targets: LogTargets
  /** Told of each request, too. */
  readonly watches?: readonly RequestWatch[]
}

/** What was asked for. `host` and `port`, or a `url` that may be no URL at all. */
export type Asked = Pick<Routing, 'caller' | 'mode' | 'via' | 'traceParent'> &
  ({ readonly url: string } | { readonly host: string; readonly port?: number })

/** How a request to a target ended. */
export interface Ending {
  /** The target's; undefined where none came, and of tunnels. */
  readonly status?: number
  readonly worker?: string
  readonly attempts?: readonly Attempt[]
  /** `ok` when left out. */
  readonly outcome?: 'ok' | ProblemCode
  /** To the target, as far as it was counted. */
  readonly sent?: number
  /** From the target. */
  readonly received?: number
}

/** One request's line, written once: when it has ended, or failed. */
export interface RequestLine {
  /** A worker is tried. */
  triedOn(worker: string): void
  /** Once, if at all, and before the end: the answer is whole, or its body comes, or the tunnel stands. */
  answered(answer: AnsweredRequest): void
  ended(ending: Ending): void
  failed(error: unknown): void
}

const DAY_MS = 24 * 60 * 60 * 1_000
const KEY_BYTES = 32
const HASH_CHARACTERS = 16

/**
 * One line at level `debug` for each request to a target, however it came and whatever became of it: the id of the caller's key,
 * the worker, whether it is an onion, the port, the status, bytes, milliseconds and tries; never a name, path, header or body.
 */
export class RequestLog {
  readonly #options: RequestLogOptions
  #targets: LogTargets
  #key: { readonly day: number; readonly bytes: Buffer } | undefined

  constructor(options: RequestLogOptions) {
    this.#options = options
    this.#targets = options.targets
  }

  /** Requests that end from now on are told of like that. */
  reconfigure(targets: LogTargets): void {
    this.#targets = targets
  }

  /** Begins a request. What is returned is to be told its end, once: how it ended, or the error that it failed with. */
  begin(kind: RequestKind, asked: Asked): RequestLine {
    const { clock, logger, watches = [] } = this.#options
    const startedAt = clock.monotonic()
    const { caller, mode, via: door, traceParent: parent } = asked
    const place = placeOf(asked)
    const { host, port, isOnion = false } = place ?? {}
    const begun = { kind, door, mode, key: caller?.id, isOnion, host, port, parent }
    const told = watches.map((watch) => watch.begun(begun))
    const write = ({ outcome, worker, attempts, status, ...bytes }: Ending & Pick<EndedRequest, 'outcome'>) => {
      const ms = clock.monotonic() - startedAt
      for (const each of told) each.ended({ outcome, worker, attempts: attempts ?? [], status, ms })
      const fields = { outcome, status, worker, ...bytes, attempts: attempts?.length, ms: Math.round(ms) }
      logger.debug({ kind, key: caller?.id, ...this.#target(place), ...fields }, 'request to a target ended')
    }
    return {
      triedOn(worker) {
        for (const each of told) each.triedOn?.(worker)
      },
      answered(answer) {
        for (const each of told) each.answered?.(answer, clock.monotonic() - startedAt)
      },
      ended: ({ outcome = 'ok', ...ending }) => write({ outcome, ...ending }),
      failed(error) {
        const attempts = error instanceof CbtorError ? error.attempts : []
        // Of what is no CbtorError the port that answers tells itself.
        if (error instanceof CbtorError && error.code === 'internal')
          logger.error({ kind, ...faultFields(error.cause ?? error) }, 'request to a target failed by a bug')
        const worker = attempts.at(-1)?.worker
        write({ outcome: codeOf(error), ...(worker !== undefined && { worker }), attempts })
      },
    }
  }

  #target(place: Place | undefined): LogFields {
    if (place === undefined) return {}
    const { host, port, isOnion } = place
    // An onion service has one name, whatever stands before it.
    const name = isOnion ? host.split('.').slice(-2).join('.') : host
    return {
      class: isOnion ? 'onion' : 'clear',
      port,
      ...(this.#targets === 'hashed' && { target: this.#hash(name) }),
    }
  }

  /** Nobody has the key but this process, and it forgets it: after the day not even we can tell what was hashed. */
  #hash(host: string): string {
    const { clock, random } = this.#options
    const day = Math.floor(clock.now() / DAY_MS)
    if (this.#key?.day !== day) {
      this.#key?.bytes.fill(0)
      this.#key = { day, bytes: random.bytes(KEY_BYTES) }
    }
    return createHmac('sha256', this.#key.bytes).update(host).digest('hex').slice(0, HASH_CHARACTERS)
  }
}

/** Where a request leads. */
interface Place {
  /** However it was written: lower case, no trailing dot. */
  readonly host: string
  readonly port: number | undefined
  readonly isOnion: boolean
}

function placeOf(asked: Asked): Place | undefined {
  const at = 'url' in asked ? hostOf(asked.url) : asked
  if (at === undefined) return undefined
  const host = at.host.toLowerCase().replace(/\.$/, '')
  return { host, port: at.port, isOnion: isOnionHost(host) }
}

function hostOf(text: string): { readonly host: string; readonly port?: number } | undefined {
  const url = URL.parse(text)
  if (url === null) return undefined
  return { host: url.hostname, port: Number(url.port || (url.protocol === 'https:' ? 443 : 80)) }
}

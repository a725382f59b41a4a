import { CbtorError } from '../../domain/errors.ts'
import { deadline } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import type { TorControl } from '../../tor/control/client.ts'
import { problemOfControl } from '../tor-problems.ts'

/** Of a control port that answers, be it far away; a stuck one means no exit rule, and that at once. */
const MAPPED_WITHIN_MS = 3_000
/** Tor keeps them all in memory, and each stands only while its stream is being made. */
const MAX_MAPPINGS = 2_048
/**
 * What our names look like: an onion address that cannot exist. Tor itself refuses one that it has no mapping for, at once and
 * without a circuit, so that nothing of what was to go to one exit is shown to another. A name that is no onion address would be
 * sent to any exit to be resolved, with the early data behind it.
 */
const OUR_NAME = /^[0-9a-f]{32}\.onion$/

type Control = Pick<TorControl, 'mapAddress' | 'getInfo'>

export interface ExitMappingsOptions {
  /** The worker's id, for messages. */
  readonly worker: string
  readonly control: Control
  readonly clock: Clock
  readonly random: Random
}

/** A name that Tor takes for a host by way of an exit. Dispose it once Tor has read it, or when nobody needs it. */
export interface ExitMapping extends Disposable {
  readonly name: string
}

/** Tells Tor by names, made up for one stream each, which exit the stream is to leave by (MAPADDRESS, control-spec 3.8). */
export class ExitMappings {
  readonly #options: ExitMappingsOptions
  readonly #open = new Set<string>()
  #isSwept = false

  constructor(options: ExitMappingsOptions) {
    this.#options = options
  }

  /**
   * `host`: a name or an IPv4 address. Rejects with `worker_unreachable` when Tor does not answer, with `exit_rule_unsupported` when
   * it does not take the host, or with the signal's reason.
   */
  async map(host: string, exit: string, signal: AbortSignal): Promise<ExitMapping> {
    signal.throwIfAborted()
    const { worker, control, clock, random } = this.#options
    if (this.#open.size >= MAX_MAPPINGS)
      throw new CbtorError('overloaded', `Cannot choose an exit of worker ${worker}: it is choosing too many just now`)
    const name = `${random.bytes(16).toString('hex')}.onion`
    this.#open.add(name)
    try {
      using limit = deadline(clock, MAPPED_WITHIN_MS, signal, () => silence(worker))
      if (!this.#isSwept) await this.#sweep(limit.signal)
      // Without the dollar sign that fingerprints have elsewhere: with it, Tor takes the address for no address.
      const [result] = await control.mapAddress([{ from: name, to: `${host}.${exit}.exit` }], limit.signal)
      if (!result?.isMapped)
        throw new CbtorError('exit_rule_unsupported', 'Cannot choose the exit: Tor can do so for no such target')
      return { name, [Symbol.dispose]: () => this.#remove(name) }
    } catch (error) {
      // It may have arrived all the same.
      this.#remove(name)
      throw problemOfControl(error, `choose an exit of worker ${worker}`)
    }
  }

  #remove(name: string): void {
    const removed = this.#options.control.mapAddress([{ from: name, to: name }], new AbortController().signal)
    // While Tor does not answer, it counts: what a stuck control port gathers is bounded.
    removed.catch(() => {}).finally(() => this.#open.delete(name))
  }

  /** Takes away what a control connection has left that ended in between; Tor may outlive it. */
  async #sweep(signal: AbortSignal): Promise<void> {
    const key = 'address-mappings/control'
    const { [key]: mappings } = await this.#options.control.getInfo([key], signal)
    const left = mappings.split('\n').map((line) => line.split(' ', 1)[0] ?? '')
    for (const name of left) if (OUR_NAME.test(name) && !this.#open.has(name)) this.#remove(name)
    this.#isSwept = true
  }
}

function silence(worker: string): CbtorError {
  const why = `its control port does not answer within ${MAPPED_WITHIN_MS} ms`
  return new CbtorError('worker_unreachable', `Cannot choose an exit of worker ${worker}: ${why}`)
}

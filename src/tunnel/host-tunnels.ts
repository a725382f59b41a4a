import { BoxFileError, readBoxes } from '../boxes/box-file.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf, TunnelError } from './errors.ts'
import type { Host } from './host.ts'
import { type TunnelNames, type TunnelSpec, tunnelNames, tunnelSpec } from './spec.ts'
import { bringUp, type Deeds, isOurs, lookUp, reconnect, takeDown } from './tunnel.ts'
import type { TunnelStatus, Tunnels } from './tunnels.ts'
import { Turns } from './turns.ts'

export interface HostTunnelsOptions {
  readonly host: Host
  readonly clock: Clock
  /** The state directory that has the box files in `boxes`. They are read anew each time. */
  readonly state: string
}

/** The tunnels of this machine, changed one operation at a time each. Needs CAP_NET_ADMIN. */
export class HostTunnels implements Tunnels {
  readonly #options: HostTunnelsOptions
  readonly #turns = new Turns<number>()
  readonly #wanted = new Set<number>()

  constructor(options: HostTunnelsOptions) {
    this.#options = options
  }

  /** Those that are to be up: brought up here, or found up and ours. */
  get wanted(): readonly number[] {
    return [...this.#wanted]
  }

  async up(n: number, signal: AbortSignal): Promise<void> {
    const work = async () => {
      await bringUp(this.spec(n), this.#options, signal)
      this.#wanted.add(n)
    }
    await this.#turns.take(n, work, signal)
  }

  /** Puts right what has changed of a tunnel that is to be up, and tells what it did. */
  async mend(n: number, signal: AbortSignal): Promise<Deeds> {
    const work = async () => (this.#wanted.has(n) ? await bringUp(this.spec(n), this.#options, signal) : [])
    return await this.#turns.take(n, work, signal)
  }

  async down(n: number, signal: AbortSignal): Promise<void> {
    const work = async () => {
      this.#wanted.delete(n)
      await takeDown(this.#namesFor(n), this.#options, signal)
    }
    await this.#turns.take(n, work, signal)
  }

  /** Takes over what a predecessor has left up. */
  async adopt(signal: AbortSignal): Promise<void> {
    for (const spec of this.specs) {
      if (await isOurs(spec, this.#options, signal)) this.#wanted.add(spec.n)
    }
  }

  async reconnect(n: number, signal: AbortSignal): Promise<void> {
    await this.#turns.take(n, async () => await reconnect(this.spec(n), this.#options, signal), signal)
  }

  async status(n: number, signal: AbortSignal): Promise<TunnelStatus> {
    return await lookUp(this.spec(n), this.#options, signal)
  }

  /** Those that there are box files for. Throws a `TunnelError`. */
  get specs(): readonly TunnelSpec[] {
    try {
      return readBoxes(this.#options.state).map(tunnelSpec)
    } catch (error) {
      // Also two boxes with one number.
      if (error instanceof BoxFileError) throw new TunnelError('invalid', error.message, { cause: error })
      throw error
    }
  }

  /** Throws a `TunnelError` when there is no such box, or a box file is wrong. */
  spec(n: number): TunnelSpec {
    const { table } = tunnelNames(n)
    const spec = this.specs.find((candidate) => candidate.table === table)
    if (spec !== undefined) return spec
    throw new TunnelError(
      'invalid',
      `There is no tunnel ${n}: no box in ${this.#options.state}/boxes has this number; install one with: cbtor workers install`,
    )
  }

  /** What is to go down may be of a box whose file is gone, or wrong. */
  #namesFor(n: number): TunnelNames {
    const names = tunnelNames(n)
    try {
      return this.specs.find((spec) => spec.n === n) ?? names
    } catch (error) {
      if (error instanceof TunnelError) return names
      throw new TunnelError('failed', `Cannot take down tunnel ${n}: ${messageOf(error)}`, { cause: error })
    }
  }
}

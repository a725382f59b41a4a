import { deadline } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { SshError } from '../../ssh/errors.ts'
import type { TorControl } from '../../tor/control/client.ts'
import { greetSocksOver } from '../../tor/socks/dial.ts'
import type { HostInspection, HostOrder, NodeView, WorkerHost } from '../driver.ts'
import { SOCKS_PASSWORD } from '../socks-link.ts'
import { ailmentsOf } from './ailments.ts'
import type { BoxTor } from './box-tor.ts'
import { isMending } from './node-status.ts'
import type { BoxTunnels } from './tunnels.ts'

const AUTH = { username: 'pulse', password: SOCKS_PASSWORD }
const CARRIES_WITHIN_MS = 3_000
const INSPECTED_WITHIN_MS = 1_000
const LOOK_EVERY_MS = 10_000
const AILMENTS_WITHIN_MS = 8_000
const POLL_MS = 250
/** From the order until the box shows another boot; as long as a rebooted box is left alone. */
const REBOOTED_WITHIN_MS = 90_000

export interface BoxHostOptions {
  readonly tor: BoxTor
  readonly tunnels: BoxTunnels
  /** The tunnel's number N. */
  readonly tunnel: number
  readonly clock: Clock
  openControl(signal: AbortSignal): Promise<TorControl>
  /** Has Tor answer through the tunnel, by every way that streams take. */
  feel(signal: AbortSignal): Promise<void>
  /** Takes up a Tor that is up, without an order to it. */
  reattach(signal: AbortSignal): Promise<void>
  /** Told of every outcome of SSH: undefined when it worked. */
  told(error: SshError | undefined): void
  /** Whether anybody wants to know how the box is. */
  isOfInterest(): boolean
  /** Told when other things are wrong with it than were before; nothing, when it is well again. */
  onAilments(ailments: readonly string[]): void
  /** Gives up the Tor that is about to go. */
  letGo(): Promise<void>
}

/** The box of a worker, as recovery and operators have it. */
export class BoxHost implements WorkerHost {
  readonly #options: BoxHostOptions

  constructor(options: BoxHostOptions) {
    this.#options = options
  }

  /** Does what needs SSH, and tells what that showed of whom we speak to. */
  async asking<T>(work: () => Promise<T>): Promise<T> {
    try {
      const result = await work()
      this.#options.told(undefined)
      return result
    } catch (error) {
      if (error instanceof SshError) this.#options.told(error)
      throw error
    }
  }

  /** Our own end of the tunnel first: while that is wrong, nothing that is seen is the box's fault. */
  async reach(signal: AbortSignal): Promise<void> {
    const { tor, tunnels, tunnel } = this.#options
    await tunnels.up(tunnel, signal)
    await this.asking(() => tor.bootId(signal))
  }

  async nodeStatus(signal: AbortSignal): Promise<NodeView | undefined> {
    const status = await this.asking(() => this.#options.tor.nodeStatus(signal))
    return status && { ...status, isMending: isMending(status) }
  }

  /** Asks the box for what only it knows, now and then, until the signal aborts. Never rejects. */
  async lookAfter(signal: AbortSignal): Promise<void> {
    const { clock, isOfInterest, onAilments } = this.#options
    let told = ''
    while (!signal.aborted) {
      await clock.sleep(LOOK_EVERY_MS, signal).catch(() => {})
      const ailments = isOfInterest() && !signal.aborted ? await this.#ailments(signal) : []
      // Of a worker that was stopped meanwhile nothing is wrong.
      if (!isOfInterest()) ailments.length = 0
      if (signal.aborted || ailments.join() === told) continue
      told = ailments.join()
      onAilments(ailments)
    }
  }

  /** What is wrong with the box or the way to it, a sentence each. Never rejects. */
  async #ailments(signal: AbortSignal): Promise<string[]> {
    const { clock, tor, tunnels, tunnel } = this.#options
    using limit = deadline(clock, AILMENTS_WITHIN_MS, signal, () => new Error('there was no answer in time'))
    const why = (error: unknown) => [error instanceof Error ? error.message : String(error)]
    const ofBox = this.asking(() => tor.vitals(limit.signal)).then((vitals) => ailmentsOf(vitals, clock.now()), why)
    const ofTunnel = tunnels.status(tunnel, limit.signal).then(({ problems }) => problems, why)
    return (await Promise.all([ofBox, ofTunnel])).flat()
  }

  async greetSocks(signal: AbortSignal): Promise<void> {
    await greetSocksOver(await this.#options.tor.socks(signal), AUTH, signal)
  }

  async restartTor(order: HostOrder, signal: AbortSignal): Promise<void> {
    const { tor, letGo } = this.#options
    // Nothing is given up for an order that does not get there.
    await this.asking(() => tor.bootId(signal))
    await letGo()
    await this.asking(() => tor.restart(order, signal))
    await this.awaitTor(signal)
  }

  async awaitTor(signal: AbortSignal): Promise<void> {
    const { openControl, clock } = this.#options
    for (;;) {
      try {
        await using control = await openControl(signal)
        while ((await control.bootstrap(signal)).progress < 100) await clock.sleep(POLL_MS, signal)
        return
      } catch (error) {
        // Whoever restarts it may do so more than once.
        signal.throwIfAborted()
        if (error instanceof SshError) throw error
        await clock.sleep(POLL_MS, signal)
      }
    }
  }

  async reconnectTunnel({ isForced, fence }: HostOrder, signal: AbortSignal): Promise<void> {
    const { tor, tunnels, tunnel } = this.#options
    await tunnels.up(tunnel, signal)
    if (!isForced && (await this.#carries(signal))) return
    await this.asking(() => tor.reconnectTunnel({ fence }, signal))
    await tunnels.reconnect(tunnel, signal)
    while (!(await this.#carries(signal))) signal.throwIfAborted()
  }

  reattach(signal: AbortSignal): Promise<void> {
    return this.#options.reattach(signal)
  }

  async reboot(signal: AbortSignal, fence?: number): Promise<void> {
    const { tor, letGo } = this.#options
    await this.asking(() => tor.bootId(signal))
    await letGo()
    await this.asking(() => tor.reboot({ withinMs: REBOOTED_WITHIN_MS, fence }, signal))
  }

  async inspect(signal: AbortSignal): Promise<HostInspection> {
    const { clock, tunnels, tunnel } = this.#options
    using limit = deadline(clock, INSPECTED_WITHIN_MS, signal, () => new Error('no answer in time'))
    let ssh = 'connected'
    const node = this.nodeStatus(limit.signal).catch((error: unknown) => {
      ssh = error instanceof Error ? error.message : String(error)
      return undefined
    })
    const status = tunnels.status(tunnel, limit.signal).catch(() => undefined)
    const [nodeView, tunnelStatus] = await Promise.all([node, status])
    return {
      ssh,
      tunnel: tunnelStatus && { handshakeAgeMs: tunnelStatus.handshakeAgeMs, problems: tunnelStatus.problems },
      node: nodeView,
    }
  }

  /** Whether what is sent through the tunnel reaches Tor and comes back. */
  async #carries(signal: AbortSignal): Promise<boolean> {
    const { clock, feel } = this.#options
    using limit = deadline(clock, CARRIES_WITHIN_MS, signal, () => new Error('nothing comes back'))
    const answered = feel(limit.signal).then(
      () => true,
      () => false,
    )
    if (await answered) return true
    // One that is refused at once is not asked again at once.
    await clock.sleep(POLL_MS, signal)
    return false
  }
}

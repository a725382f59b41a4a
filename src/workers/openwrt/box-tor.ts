import type { Duplex } from 'node:stream'
import { deadline } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { command, type SshCommand } from '../../ssh/command.ts'
import type { CommandResult } from '../../ssh/session.ts'
import { fenced, fenceLine } from './box-fence.ts'
import { type NodeStatus, parseNodeStatus } from './node-status.ts'

/** What is needed of SSH; `SshSession` has it. */
export interface BoxShell {
  run(
    command: SshCommand,
    options: { readonly limitMs: number; readonly stdin?: string },
    signal: AbortSignal,
  ): Promise<CommandResult>
  /** A stream to a port on the box's own loopback address. */
  forward(port: number, signal: AbortSignal): Promise<Duplex>
}

export interface BoxVitals {
  /** By the clock of the box, milliseconds since the epoch. */
  readonly now: number
  readonly node: NodeStatus | undefined
  /** 0 to 100, of what can be written to; undefined where df tells nothing. */
  readonly usedPercent: Readonly<Record<string, number | undefined>>
}

interface Order {
  readonly isForced: boolean
  /** Of the lease to heal the box's worker, where several gateways reach it: the box refuses an order with a lower one than it saw. */
  readonly fence?: number | undefined
}

/** The order was given, and the box does not show that it was carried out. The message says which. */
export class BoxOrderError extends Error {
  override readonly name = 'BoxOrderError'
}

const START = command`/etc/init.d/tor start`
/** With what its health script remembers, which would start Tor again to see whether it works by now. */
const STOP = command`/etc/init.d/tor stop && rm -f /var/run/tor/health-status`
const RESTART = command`/etc/init.d/tor restart`
/** Without waiting, as an order to procd would, for one that does not hear. procd starts it again only after 5 s. */
const KILL = command`for pid in $(pgrep -f '^/usr/sbin/tor '); do kill -9 "$pid"; done`
/**
 * The oldest when there are several: a new one cannot bind the ports before the old one is gone. By its command line, since
 * its init script bears the same name while it runs.
 */
const PID = command`pgrep -f '^/usr/sbin/tor ' || true`
const COOKIE = command`hexdump -v -e '1/1 "%02x"' /var/lib/tor/control_auth_cookie`
const STATUS = command`date +%s; cat /var/run/tor/health-status 2>/dev/null || true`
/** Where Tor, the health script and the lists of packages write. */
const SPACE = command`df -k /tmp | tail -n 1; df -k / | tail -n 1`
const BOOT_ID = command`cat /proc/sys/kernel/random/boot_id`
/** In the background, so that the session can end in order before the box goes down. */
const REBOOT = command`(sleep 1; reboot) </dev/null >/dev/null 2>&1 &`
/**
 * The firewall first: without its table a new wg0 would forward in clear until its hotplug script has run. And once more, for the
 * zone of the new one.
 */
const TUNNEL = command`/etc/init.d/firewall reload >/dev/null 2>&1; /sbin/ifdown wg0; /sbin/ifup wg0 && /etc/init.d/firewall reload >/dev/null 2>&1`

/** netifd brings the interface up in the background. */
const TUNNEL_IS_UP = command`wg show wg0 listen-port`

/** What tells a session and a box that something is there: such a command takes milliseconds. */
const LOOK_MS = 5_000
/** procd waits 5 s for a Tor that does not hear SIGTERM before it kills it. */
const ORDER_MS = 15_000
const POLL_MS = 200

/** The Tor of a box, and the box itself, by SSH. Every order is proven by what the box shows afterwards. */
export class BoxTor {
  readonly #shell: BoxShell
  readonly #clock: Clock

  constructor(shell: BoxShell, clock: Clock) {
    this.#shell = shell
    this.#clock = clock
  }

  /** Undefined when Tor does not run. */
  async pid(signal: AbortSignal): Promise<number | undefined> {
    const { stdout } = await this.#shell.run(PID, { limitMs: LOOK_MS }, signal)
    const pids = stdout.trim().split(/\s+/).map(Number).filter(Boolean)
    return pids.length === 0 ? undefined : Math.min(...pids)
  }

  /** Starts Tor if it does not run, and resolves with its process. `isNew`: it did not run before. */
  async start(signal: AbortSignal): Promise<{ readonly pid: number; readonly isNew: boolean }> {
    const running = await this.pid(signal)
    if (running !== undefined) return { pid: running, isNew: false }
    await this.#order(START, signal)
    return { pid: await this.#provenPid((pid) => pid !== undefined, 'start Tor', signal), isNew: true }
  }

  /** Resolves once Tor is gone; `isForced` does not wait for its good will. */
  async stop(isForced: boolean, signal: AbortSignal): Promise<void> {
    if (isForced) await this.#order(KILL, signal)
    await this.#order(STOP, signal)
    await this.#provenPid((pid) => pid === undefined, 'stop Tor', signal)
  }

  /** Resolves with the process of the new Tor: the init script answers at once, and may still show the old one as running. */
  async restart({ isForced, fence }: Order, signal: AbortSignal): Promise<number> {
    const before = await this.pid(signal)
    if (isForced) await this.#order(KILL, signal, fence)
    await this.#order(RESTART, signal, fence)
    return await this.#provenPid((pid) => pid !== undefined && pid !== before, 'restart Tor', signal)
  }

  /** Of the control port. */
  async cookie(signal: AbortSignal): Promise<Buffer> {
    const { code, stdout, stderr } = await this.#shell.run(COOKIE, { limitMs: LOOK_MS }, signal)
    if (code === 0 && /^[0-9a-f]{64}$/.test(stdout.trim())) return Buffer.from(stdout.trim(), 'hex')
    throw new BoxOrderError(`Cannot read the cookie of Tor's control port: ${stderr.trim() || 'it is not there yet'}`)
  }

  control(signal: AbortSignal): Promise<Duplex> {
    return this.#shell.forward(9051, signal)
  }

  /** A stream to the SOCKS port that does not go through the tunnel. */
  socks(signal: AbortSignal): Promise<Duplex> {
    return this.#shell.forward(9050, signal)
  }

  /** Undefined when the health script has not written its file. */
  async nodeStatus(signal: AbortSignal): Promise<NodeStatus | undefined> {
    return (await this.#status(signal)).node
  }

  /** What only the box itself knows of its state. */
  async vitals(signal: AbortSignal): Promise<BoxVitals> {
    const { now, node } = await this.#status(signal)
    const { stdout } = await this.#shell.run(SPACE, { limitMs: LOOK_MS }, signal)
    const [memory, flash] = stdout.split('\n').map(usedPercent)
    return { now, node, usedPercent: { '/tmp': memory, 'the flash': flash } }
  }

  async #status(signal: AbortSignal) {
    const { stdout } = await this.#shell.run(STATUS, { limitMs: LOOK_MS }, signal)
    const [nowS = '', ...lines] = stdout.split('\n')
    return { now: Number(nowS) * 1_000, node: parseNodeStatus(lines.join('\n'), Number(nowS)) }
  }

  async bootId(signal: AbortSignal): Promise<string> {
    const { stdout } = await this.#shell.run(BOOT_ID, { limitMs: LOOK_MS }, signal)
    return stdout.trim()
  }

  /** Resolves once the box is up again and shows another boot id; rejects when it does not within `withinMs`. */
  async reboot({ withinMs, fence }: Pick<Order, 'fence'> & { readonly withinMs: number }, signal: AbortSignal) {
    const before = await this.bootId(signal)
    await this.#order(REBOOT, signal, fence)
    const late = () =>
      new BoxOrderError(`The box was told to reboot, and shows no new boot after ${withinMs / 1_000} s`)
    using limit = deadline(this.#clock, withinMs, signal, late)
    for (;;) {
      await this.#clock.sleep(1_000, limit.signal)
      const now = await this.bootId(limit.signal).catch(() => before)
      limit.signal.throwIfAborted()
      if (now !== before) return
    }
  }

  /** Takes the box's end of the tunnel down and up again, and resolves once its interface is there. */
  async reconnectTunnel({ fence }: Pick<Order, 'fence'>, signal: AbortSignal): Promise<void> {
    await this.#order(TUNNEL, signal, fence)
    const late = () => new BoxOrderError('The box was told to bring wg0 up, and does not show it')
    using limit = deadline(this.#clock, ORDER_MS, signal, late)
    while ((await this.#shell.run(TUNNEL_IS_UP, { limitMs: LOOK_MS }, limit.signal)).code !== 0)
      await this.#clock.sleep(POLL_MS, limit.signal)
  }

  async #order(order: SshCommand, signal: AbortSignal, fence?: number): Promise<void> {
    const { code, stdout, stderr } = await (fence === undefined
      ? this.#shell.run(order, { limitMs: ORDER_MS }, signal)
      : this.#shell.run(fenced(order), { limitMs: ORDER_MS, stdin: fenceLine(fence) }, signal))
    if (code === 0) return
    const words = (stderr.trim() || stdout.trim()).split('\n').at(-1)
    throw new BoxOrderError(`The box refused "${order}": exit code ${code}${words ? `, ${words}` : ''}`)
  }

  async #provenPid<P extends number | undefined>(
    isIt: (pid: number | undefined) => pid is P,
    what: string,
    signal: AbortSignal,
  ): Promise<P>
  async #provenPid(isIt: (pid: number | undefined) => boolean, what: string, signal: AbortSignal): Promise<number>
  async #provenPid(
    isIt: (pid: number | undefined) => boolean,
    what: string,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const late = () => new BoxOrderError(`The box was told to ${what}, and its processes do not show it`)
    using limit = deadline(this.#clock, ORDER_MS, signal, late)
    for (;;) {
      const pid = await this.pid(limit.signal)
      if (isIt(pid)) return pid
      await this.#clock.sleep(POLL_MS, limit.signal)
    }
  }
}

/** Of a line of df(1). */
function usedPercent(line: string): number | undefined {
  const [, percent] = /\s(\d{1,3})%\s/.exec(line) ?? []
  return percent === undefined ? undefined : Number(percent)
}

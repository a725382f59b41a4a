import type { BoxShell } from '../remote/box-shell.ts'
import { RUNNING } from '../remote/system-commands.ts'
import { factLines, type Listener, parseListener } from './facts.ts'
import { BOX_WIREGUARD_PORT } from './obstacles.ts'

/** What runs on a box that is a worker. */
export interface Running {
  readonly torPid: string | undefined
  readonly hasCron: boolean
  readonly hasTunnelInterface: boolean
  /** UDP port that WireGuard listens on, and the public keys of its peers. */
  readonly wireguard: { readonly port: number; readonly peers: readonly string[] }
  /** Seconds since the epoch of the newest handshake; 0: none yet. */
  readonly handshakeAtS: number
  /** Whether the kernel would forward what comes out of the tunnel. */
  readonly isForwarding: boolean
  /** Whether a table of its own, which no restart of the firewall touches, drops what would be forwarded out of the tunnel or go beside it. */
  readonly isLocked: boolean
  readonly addresses: readonly string[]
  readonly listeners: readonly Listener[]
  /** Ports that the firewall redirects to. */
  readonly redirects: readonly number[]
  /** Seconds since the box booted or the journal was written, whichever is less. */
  readonly ageS: number
  /** Fields of the health check's status file; empty before its first run after a boot. */
  readonly health: ReadonlyMap<string, string>
}

export async function readRunning(box: BoxShell): Promise<Running> {
  const facts = factLines(await box.lines('look at what runs', RUNNING))
  const of = (name: string) => facts.filter(([fact]) => fact === name).map(([, value]) => value)
  const [port = '', ...peers] = of('wireguard')[0]?.split(/\s+/) ?? []
  return {
    torPid: of('tor')[0],
    hasCron: of('crond').length > 0,
    hasTunnelInterface: of('wg0').length > 0,
    wireguard: { port: Number(port), peers },
    handshakeAtS: Math.max(0, ...of('handshake').map(Number)),
    isForwarding: of('forwarding')[0] !== '0',
    isLocked: of('lock').length > 0,
    addresses: of('address'),
    listeners: of('listens').flatMap((text) => parseListener(text) ?? []),
    redirects: of('redirect').map(Number),
    ageS: Number(of('age')[0] ?? 0),
    health: new Map(
      of('health').map((line) => {
        const at = line.indexOf('=')
        return [line.slice(0, at), line.slice(at + 1)] as const
      }),
    ),
  }
}

/** One thing that is right or wrong on a box. */
export interface Finding {
  readonly name: string
  readonly isRight: boolean
  /** What is so. */
  readonly text: string
  /** What to do about it; empty when all is right. */
  readonly mend: string
}

export interface RunningWanted {
  readonly tunnel: number
  readonly hostPublicKey: string
}

/** Whether what must run runs. */
export function judgeRunning(running: Running, { tunnel, hostPublicKey }: RunningWanted): readonly Finding[] {
  const { torPid, listeners, wireguard, addresses, redirects } = running
  const hears = (protocol: 'tcp' | 'udp', port: number) => {
    return listeners.some((listener) => listener.protocol === protocol && listener.port === port)
  }
  const silent = [
    ...([9050, 9040, 9051] as const).filter((port) => !hears('tcp', port)),
    ...(hears('udp', 9053) ? [] : [9053]),
  ]
  const address = `10.201.${tunnel}.1/24`
  const unredirected = [9040, 9053].filter((port) => !redirects.includes(port))
  const restartTor = 'On the box: /etc/init.d/tor restart; if that does not help, see logread -e Tor'
  const reload = 'On the box: /etc/init.d/network reload; ifup wg0'
  return [
    finding('tor', torPid !== undefined, torPid ? `runs (pid ${torPid})` : 'does not run', restartTor),
    finding(
      'tor ports',
      silent.length === 0,
      silent.length === 0 ? '9050, 9040, 9051 and 9053 listen' : `nothing listens on ${silent.join(', ')}`,
      restartTor,
    ),
    finding(
      'tunnel',
      running.hasTunnelInterface && addresses.includes(address) && wireguard.port === BOX_WIREGUARD_PORT,
      running.hasTunnelInterface
        ? `wg0 has ${addresses.join(', ') || 'no address'}, UDP port ${wireguard.port || 'unknown'}`
        : 'there is no wg0',
      reload,
    ),
    finding(
      'tunnel peer',
      wireguard.peers.includes(hostPublicKey),
      wireguard.peers.includes(hostPublicKey) ? 'is this gateway' : 'this gateway is no peer of wg0',
      reload,
    ),
    finding(
      'forwarding',
      !running.isForwarding,
      running.isForwarding ? 'the kernel would forward traffic of the tunnel in clear' : 'off for wg0',
      'On the box: ifup wg0 (its hotplug script turns forwarding off)',
    ),
    finding(
      'lock',
      running.isLocked,
      running.isLocked ? 'holds' : 'table inet cbtor, which lets nothing out of the tunnel, is not there as a whole',
      'cbtor workers upgrade, if its files are of an earlier version; else on the box: ifup wg0 (its hotplug script makes the table)',
    ),
    finding(
      'redirects',
      unredirected.length === 0,
      unredirected.length === 0
        ? 'TCP and DNS of the tunnel go to Tor'
        : `nothing is redirected to ${unredirected.join(', ')}`,
      'On the box: /etc/init.d/firewall restart',
    ),
    finding(
      'cron',
      running.hasCron,
      running.hasCron ? 'runs' : 'does not run, so the health check does not either',
      'On the box: /etc/init.d/cron enable; /etc/init.d/cron restart',
    ),
  ]
}

export function finding(name: string, isRight: boolean, text: string, mend: string): Finding {
  return { name, isRight, text, mend: isRight ? '' : mend }
}

import type { Clock } from '../../../lib/clock.ts'
import { printable } from '../../../lib/printable.ts'
import { SshError } from '../../../ssh/errors.ts'
import type { BoxShell } from '../../remote/box-shell.ts'
import { RemoteCommandError } from '../../remote/remote-command-error.ts'
import {
  ENABLE_CRON,
  ENABLE_TOR,
  RELOAD_FIREWALL,
  RESTART_NETWORK,
  TUNNEL_STATE,
  TUNNEL_UP,
  VERIFY_TORRC,
} from '../../remote/system-commands.ts'
import type { BoxFacts } from '../facts.ts'
import { type FileEdit, lookAtEdit } from '../file-edit.ts'
import { InstallError } from '../install-error.ts'
import type { Journal, JournalKeeper, ReloadedService } from '../journal.ts'
import { takeTurn } from '../turn.ts'
import type { Step, StepRun } from './step.ts'

/** After which time a tunnel that is not there is taken as one whose protocol netifd does not know. */
const TUNNEL_WITHIN_MS = 8_000
/** A restart of the network, with whatever has to reconnect. */
const NETWORK_RESTART_WITHIN_MS = 60_000
const LOOK_EVERY_MS = 500
const SERVICE_LIMIT_MS = 60_000

/** Lets the services take up what the files say. `edits`: all of them, to know what will have to be taken up. */
export function servicesStep(facts: BoxFacts, journal: Journal | undefined, edits: readonly FileEdit[]): Step {
  return {
    name: 'services',
    look: async (box) => {
      const pending = new Set<ReloadedService>([...(journal?.pending ?? []), ...idle(facts)])
      for (const edit of edits) {
        if (edit.reload && (await lookAtEdit(box, journal, edit)).length > 0) pending.add(edit.reload)
      }
      return [
        ...(pending.has('network') ? ['/etc/init.d/network reload; ifup wg0'] : []),
        ...(pending.has('firewall') ? ['/etc/init.d/firewall reload'] : []),
        ...(['tor', 'cron'] as const).flatMap((service) => [
          ...(facts.enabled.has(service) ? [] : [`/etc/init.d/${service} enable`]),
          ...(pending.has(service) ? [`/etc/init.d/${service} restart`] : []),
        ]),
      ]
    },
    apply: async (run) => {
      const { box, keeper } = run
      const pending = new Set([...keeper.journal.pending, ...idle(facts)])
      if (pending.has('tor')) await verifyTorrc(box)
      if (pending.has('network')) await bringTunnelUp(run)
      await settle(keeper, 'network')
      if (pending.has('firewall')) await box.run('reload the firewall', RELOAD_FIREWALL, [], SERVICE_LIMIT_MS)
      await settle(keeper, 'firewall')
      await noteEnabled(keeper, facts)
      if (pending.has('tor') || !facts.enabled.has('tor')) await box.run('start Tor', ENABLE_TOR, [], SERVICE_LIMIT_MS)
      await settle(keeper, 'tor')
      if (pending.has('cron') || !facts.enabled.has('cron'))
        await box.run('start cron', ENABLE_CRON, [], SERVICE_LIMIT_MS)
      await settle(keeper, 'cron')
    },
  }
}

/** Services that do not run, whatever the files say. */
function idle({ running, hasTunnelInterface }: BoxFacts): readonly ReloadedService[] {
  return [
    ...(hasTunnelInterface ? [] : (['network'] as const)),
    ...(['tor', 'cron'] as const).filter((service) => !running.has(service)),
  ]
}

async function settle(keeper: JournalKeeper, service: ReloadedService): Promise<void> {
  await keeper.note((journal) => {
    journal.pending = journal.pending.filter((one) => one !== service)
  })
}

/** A service that was not there at all is taken away with its package. */
async function noteEnabled(keeper: JournalKeeper, facts: BoxFacts): Promise<void> {
  await keeper.note(({ original, run }) => {
    for (const ledger of run ? [original, run] : [original]) {
      for (const service of ['tor', 'cron'] as const)
        if (!facts.enabled.has(service) && !ledger.enabled.includes(service)) ledger.enabled.push(service)
    }
  })
}

async function verifyTorrc(box: BoxShell): Promise<void> {
  try {
    await box.run('verify the torrc', VERIFY_TORRC, [], SERVICE_LIMIT_MS)
  } catch (error) {
    if (!(error instanceof RemoteCommandError)) throw error
    const words = error.result.stdout.split('\n').filter((line) => /\[(warn|err)\]/.test(line))
    throw new InstallError(
      `Cannot start Tor: it refuses its configuration. Mend /etc/tor/torrc on the box and run this again. ` +
        `Tor said: ${printable(words.slice(-3).join(' / ') || error.message, 400)}`,
    )
  }
}

async function bringTunnelUp({ box, clock, signal }: StepRun): Promise<void> {
  await box.run('bring the tunnel up', TUNNEL_UP, [], SERVICE_LIMIT_MS)
  if (await isUpWithin(box, TUNNEL_WITHIN_MS, { clock, signal })) return
  await box.run('restart the network', RESTART_NETWORK)
  if (await isUpWithin(box, NETWORK_RESTART_WITHIN_MS, { clock, signal, isRestarting: true })) {
    // The restart may have ended the connection that had it.
    await takeTurn(box)
    return
  }
  throw new InstallError(
    'Cannot bring up the tunnel: wg0 did not appear. See on the box what `ifup wg0; logread -e netifd` says; most often the kernel has ' +
      'no WireGuard (package kmod-wireguard for exactly this kernel)',
  )
}

interface Waiting {
  readonly clock: Clock
  readonly signal: AbortSignal
  /** The connection may be lost meanwhile; and what netifd says of before its restart does not count. */
  readonly isRestarting?: true
}

async function isUpWithin(box: BoxShell, ms: number, { clock, signal, isRestarting }: Waiting): Promise<boolean> {
  const by = clock.monotonic() + ms
  while (clock.monotonic() < by) {
    await clock.sleep(LOOK_EVERY_MS, signal)
    try {
      const [state] = await box.lines('look at the tunnel', TUNNEL_STATE)
      if (state === 'up') return true
      if (state === 'unknown' && !isRestarting) return false
    } catch (error) {
      if (!isRestarting || !(error instanceof SshError)) throw error
    }
  }
  return false
}

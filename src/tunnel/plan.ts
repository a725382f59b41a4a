import type { HostCommand } from './host.ts'
import { lockRuleset } from './lock.ts'
import type { Observed } from './observed.ts'
import { markOf, type Ownership } from './ownership.ts'
import { KILL_SWITCH_METRIC } from './routes.ts'
import type { TunnelNames, TunnelSpec } from './spec.ts'
import { isConfigured, wireguardConfig } from './wireguard-config.ts'

/** One thing to do. `make-interface` tries the kernel first; `end-wireguard` ends its process in user space, if any. */
export type Step =
  | { readonly type: 'run'; readonly command: HostCommand }
  | { readonly type: 'make-interface' }
  | { readonly type: 'end-wireguard' }

/**
 * What is missing of the tunnel, in the order in which it must come: what keeps packets in (lock, kill switch, rule) is
 * there before the first address is, so that there is no moment in which one could leave by another way. Empty when the
 * tunnel is as it should be. Of an interface that was handed over to another tool only the surroundings are ours.
 */
export function planUp(spec: TunnelSpec, observed: Observed, ownership: Ownership): readonly Step[] {
  return [
    ...(observed.lock ? [] : [run('nft', lockRuleset(spec))]),
    ...(observed.killSwitch ? [] : [run('ip', ...route('replace', killSwitch(spec)))]),
    ...(observed.rule ? [] : [run('ip', '-4', 'rule', 'add', ...rule(spec))]),
    ...(ownership === 'handed-over' ? [] : interfaceSteps(spec, observed, ownership)),
    ...spec.identityRanges
      .filter((range) => !observed.identityRanges.includes(range))
      .map((range) => run('ip', ...route('replace', identityRoute(range)))),
    ...(observed.defaultRoute && canCarry(observed) ? [] : [run('ip', ...route('replace', defaultRoute(spec)))]),
  ]
}

/** What there is of the tunnel, in the reverse order: what keeps packets in goes last. */
export function planDown(names: TunnelNames, observed: Observed): readonly Step[] {
  return [
    ...(observed.defaultRoute ? [run('ip', ...route('del', defaultRoute(names)))] : []),
    ...observed.identityRanges.map((range) => run('ip', ...route('del', ['local', range, 'table', 'local']))),
    ...(observed.link ? removeInterface(names) : []),
    ...(observed.rule ? [run('ip', '-4', 'rule', 'del', ...rule(names))] : []),
    ...(observed.killSwitch ? [run('ip', ...route('del', killSwitch(names)))] : []),
    // The first line makes that there is something to delete, whatever is left of it.
    run('nft', `table inet ${names.lockTable}\ndelete table inet ${names.lockTable}\n`),
  ]
}

/** Removes and adds the box as a peer: its name is resolved again, and keepalive makes WireGuard shake hands at once. */
export function planReconnect(spec: TunnelSpec): Step {
  return {
    type: 'run',
    command: { program: 'wg', args: ['setconf', spec.interfaceName, '/dev/stdin'], stdin: wireguardConfig(spec) },
  }
}

function interfaceSteps(spec: TunnelSpec, observed: Observed, ownership: Ownership): readonly Step[] {
  const { interfaceName: name, mtu } = spec
  // An interface that nothing answers for (its process hangs) is of no use any more.
  const isDead = observed.link !== undefined && observed.wireguard === undefined
  const link = isDead ? undefined : observed.link
  const address = `${spec.hostAddress}/24`
  return [
    ...(isDead ? removeInterface(spec) : []),
    ...(link ? [] : [{ type: 'make-interface' } as const]),
    ...(link && ownership === 'ours' ? [] : [run('ip', 'link', 'set', 'dev', name, 'alias', markOf(spec.id))]),
    ...(link && observed.wireguard && isConfigured(spec, observed.wireguard) ? [] : [planReconnect(spec)]),
    ...(link?.addresses.includes(address) ? [] : [run('ip', '-4', 'addr', 'replace', address, 'dev', name)]),
    ...(link?.isUp && link.mtu === mtu ? [] : [run('ip', 'link', 'set', 'dev', name, 'mtu', String(mtu), 'up')]),
  ]
}

/** The route goes with the interface, and when that is down. */
function canCarry({ link, wireguard }: Observed): boolean {
  return link?.isUp === true && wireguard !== undefined
}

function removeInterface({ interfaceName }: TunnelNames): readonly Step[] {
  return [run('ip', 'link', 'del', 'dev', interfaceName), { type: 'end-wireguard' }]
}

function route(verb: 'replace' | 'del', args: readonly string[]): readonly string[] {
  return ['-4', 'route', verb, ...args]
}

function killSwitch({ table }: TunnelNames): readonly string[] {
  return ['unreachable', 'default', 'metric', String(KILL_SWITCH_METRIC), 'table', String(table)]
}

function defaultRoute({ interfaceName, table }: TunnelNames): readonly string[] {
  return ['default', 'dev', interfaceName, 'table', String(table)]
}

/** A range whose addresses are all ours, without being added to an interface one by one ("AnyIP"). */
function identityRoute(range: string): readonly string[] {
  return ['local', range, 'dev', 'lo', 'table', 'local']
}

function rule({ subnet, table }: TunnelNames): readonly string[] {
  return ['pref', String(table), 'from', subnet, 'lookup', String(table)]
}

function run(program: HostCommand['program'], ...args: readonly string[]): Step {
  return { type: 'run', command: { program, args } }
}

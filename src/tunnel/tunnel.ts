import type { Clock } from '../lib/clock.ts'
import { TunnelError } from './errors.ts'
import type { Host } from './host.ts'
import { type Observed, observe } from './observed.ts'
import { ownershipOf, refuseForeign } from './ownership.ts'
import { planDown, planReconnect, planUp, type Step } from './plan.ts'
import type { TunnelNames, TunnelSpec } from './spec.ts'
import { statusOf } from './status.ts'
import type { TunnelStatus } from './tunnels.ts'

export interface TunnelOptions {
  readonly host: Host
  readonly clock: Clock
}

const HANDSHAKE_WITHIN_MS = 12_000
const POLL_MS = 100
/** Somebody else may have changed things between our look and our hand. */
const PASSES = 2

/** What was done to a tunnel, as command lines without anything secret. Empty when there was nothing to do. */
export type Deeds = readonly string[]

/**
 * Brings the tunnel up, or mends what is missing of it. Rejects with a `TunnelError` when something of its names is not
 * ours, before anything is touched, and when it is not as it should be in the end.
 */
export async function bringUp(wanted: TunnelSpec, { host }: TunnelOptions, signal: AbortSignal): Promise<Deeds> {
  const deeds: string[] = []
  for (let pass = 1; ; pass++) {
    const { spec, observed } = await lookAt(wanted, host, signal)
    refuseForeign('bring up', spec, observed)
    const steps = planUp(spec, observed, ownershipOf(spec, observed))
    if (steps.length === 0) return deeds
    try {
      await take(steps, spec, host, signal, deeds)
    } catch (error) {
      if (pass > PASSES || signal.aborted) throw error
      continue
    }
    if (pass > PASSES) {
      throw new TunnelError(
        'failed',
        `Cannot bring up tunnel ${spec.n}: something takes away what was made: ${deeds.at(-1)}`,
      )
    }
  }
}

/** Leaves nothing of the tunnel. `names` without a spec: of a box whose file is gone. */
export async function takeDown(names: TunnelNames, { host }: TunnelOptions, signal: AbortSignal): Promise<Deeds> {
  const deeds: string[] = []
  const { spec, observed } = await lookAt(names, host, signal)
  refuseForeign('take down', spec, observed)
  if (ownershipOf(spec, observed) === 'handed-over') {
    throw new TunnelError(
      'foreign',
      `Cannot take down tunnel ${spec.n}: another tool made ${spec.interfaceName}. Take it down with that, then try again`,
    )
  }
  await take(planDown(spec, observed), spec, host, signal, deeds)
  return deeds
}

/** Rejects with a `TunnelError` of fault `no-handshake` when the box has not answered within 12 s. */
export async function reconnect(wanted: TunnelSpec, options: TunnelOptions, signal: AbortSignal): Promise<void> {
  const { host, clock } = options
  await bringUp(wanted, options, signal)
  const { spec } = await lookAt(wanted, host, signal)
  await take([planReconnect(spec)], spec, host, signal, [])
  // The box was added anew: any handshake of it is new.
  const giveUpAt = clock.monotonic() + HANDSHAKE_WITHIN_MS
  for (;;) {
    const observed = await observe(spec, host, signal)
    if (hasShakenHands(observed)) {
      if (observed.defaultRoute) return
      await bringUp(spec, options, signal)
    }
    if (clock.monotonic() >= giveUpAt) throw noHandshake(spec)
    await clock.sleep(POLL_MS, signal)
  }
}

export async function lookUp(
  wanted: TunnelSpec,
  { host, clock }: TunnelOptions,
  signal: AbortSignal,
): Promise<TunnelStatus> {
  const { spec, observed } = await lookAt(wanted, host, signal)
  return statusOf(spec, observed, await strayWay(spec, observed, host, signal), clock.now())
}

/** Whether there is an interface of the tunnel, made by us. */
export async function isOurs(spec: TunnelSpec, { host }: TunnelOptions, signal: AbortSignal): Promise<boolean> {
  return ownershipOf(spec, await observe(spec, host, signal)) === 'ours'
}

/**
 * The tunnel as it is. An OpenWrt gateway's netifd can have no hyphen in the name of an interface, so when there is none
 * of our name, one of its is looked for.
 */
async function lookAt<T extends TunnelNames>(
  spec: T,
  host: Host,
  signal: AbortSignal,
): Promise<{ spec: T; observed: Observed }> {
  const observed = await observe(spec, host, signal)
  if (observed.link !== undefined) return { spec, observed }
  const other: T = { ...spec, interfaceName: spec.interfaceName.replaceAll('-', '_') }
  const args = ['-j', 'link', 'show', 'dev', other.interfaceName]
  if ((await host.run({ program: 'ip', args }, signal)).code !== 0) return { spec, observed }
  const otherwise = await observe(other, host, signal)
  return ownershipOf(other, otherwise) === 'handed-over' ? { spec: other, observed: otherwise } : { spec, observed }
}

/**
 * The interface by which packets with an address of the tunnel would go out although our rule is there, because one of
 * somebody else comes first. Asks the kernel's tables for a way to an address that nobody has; sends nothing.
 */
async function strayWay(
  { interfaceName, hostAddress }: TunnelNames,
  { defaultRoute, rule, link }: Observed,
  host: Host,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (!defaultRoute || !rule || !link?.isUp) return undefined
  const args = ['-j', '-4', 'route', 'get', NOBODY, 'from', hostAddress]
  const { code, stdout } = await host.run({ program: 'ip', args }, signal)
  const [way] = code === 0 ? (JSON.parse(stdout) as readonly { readonly dev?: string }[]) : []
  return way?.dev === interfaceName ? undefined : way?.dev
}

/** Of TEST-NET-3 (RFC 5737). */
const NOBODY = '203.0.113.254'

async function take(
  steps: readonly Step[],
  { n, interfaceName }: TunnelNames,
  host: Host,
  signal: AbortSignal,
  deeds: string[],
): Promise<void> {
  for (const step of steps) {
    if (step.type === 'end-wireguard') {
      await host.endWireguard(interfaceName)
    } else if (step.type === 'make-interface') {
      deeds.push(`make ${interfaceName}`)
      await makeInterface(interfaceName, host, signal)
    } else {
      const { program, args } = step.command
      const deed = program === 'nft' ? 'nft: the lock' : [program, ...args].join(' ')
      deeds.push(deed)
      const { code, stderr } = await host.run(step.command, signal)
      if (code !== 0) throw stepFailed(n, deed, code, stderr)
    }
  }
}

async function makeInterface(name: string, host: Host, signal: AbortSignal): Promise<void> {
  const args = ['link', 'add', 'dev', name, 'type', 'wireguard']
  const { code, stderr } = await host.run({ program: 'ip', args }, signal)
  if (code === 0) return
  if (!/Unknown device type|not supported/i.test(stderr)) throw stepFailed(name, `ip ${args.join(' ')}`, code, stderr)
  await host.startWireguard(name, signal)
}

function hasShakenHands({ wireguard }: Observed): boolean {
  return wireguard?.peers.some(({ latestHandshake }) => latestHandshake > 0) ?? false
}

function stepFailed(tunnel: number | string, deed: string, code: number, stderr: string): TunnelError {
  const words = stderr.trim() || `exit code ${code}`
  const isForbidden = /Operation not permitted|Permission denied/.test(words)
  return new TunnelError(
    isForbidden ? 'not-permitted' : 'failed',
    `Cannot change tunnel ${tunnel}: "${deed}": ${words}`,
  )
}

function noHandshake({ n, id, boxEndpoint }: TunnelSpec): TunnelError {
  return new TunnelError(
    'no-handshake',
    `Cannot reconnect tunnel ${n}: box ${id} did not answer at ${boxEndpoint} (UDP) within ${HANDSHAKE_WITHIN_MS} ms. Is its wg0 up? See: cbtor workers check`,
  )
}

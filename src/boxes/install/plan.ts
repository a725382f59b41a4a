import type { Clock } from '../../lib/clock.ts'
import { type SshDestination, showDestination, showHostPort } from '../../ssh/destination.ts'
import { type BoxFile, type PackageManager, readBoxes, splitEndpoint } from '../box-file.ts'
import { type Payload, readPayload } from '../payload.ts'
import type { BoxShell, RemoteFile } from '../remote/box-shell.ts'
import { findSection } from '../uci-text.ts'
import { createWireguardKeys, isWireguardKey, wireguardPublicKey } from '../wireguard-keys.ts'
import { linesEdit, payloadEdits, uciEdit } from './edits.ts'
import { type BoxFacts, readFacts } from './facts.ts'
import { InstallError } from './install-error.ts'
import { type Journal, readJournal } from './journal.ts'
import { BOX_WIREGUARD_PORT, obstacles } from './obstacles.ts'
import { filesStep } from './steps/files.ts'
import { packagesStep } from './steps/packages.ts'
import { servicesStep } from './steps/services.ts'
import type { Step } from './steps/step.ts'
import { verifyStep } from './steps/verify.ts'

/** UDP port of this machine for tunnel N is this plus N. */
const HOST_PORT_BASE = 51_820
const MAX_TUNNEL = 254

/** Which box, and what is asked of it. What is left out is chosen, or as it was at the last installation. */
export interface InstallRequest {
  readonly destination: SshDestination
  readonly hostKey: string
  /** Absolute path. */
  readonly keyFile: string
  readonly stateDirectory: string
  readonly id?: string
  readonly tunnel?: number
  /** The box file of that address. When its host key is not `hostKey`, the operator has accepted the new one in its place. */
  readonly known?: BoxFile
  /** `host:port` where the box reaches this machine. */
  readonly hostEndpoint?: string
  /** Where the payload lies; that of this installation of CBTOR when left out. */
  readonly payloadDirectory?: string
  readonly clock: Clock
}

/** What is to be done to a box. */
export interface InstallPlan {
  readonly facts: BoxFacts
  readonly packageManager: PackageManager
  /** What an earlier run left, if any. */
  readonly earlier: { readonly journal: Journal; readonly file: RemoteFile } | undefined
  readonly boxFile: BoxFile
  /** The box file of the worker that the box is already, or whose place it takes: it was set up anew. */
  readonly place: BoxFile | undefined
  readonly payload: Payload
  readonly hostPublicKey: string
  readonly steps: readonly Step[]
}

/** Looks at the box and decides. Changes nothing. Rejects with `InstallError` when the box cannot become the worker asked for. */
export async function planInstall(box: BoxShell, request: InstallRequest): Promise<InstallPlan> {
  const boxes = readBoxes(request.stateDirectory)
  const facts = await readFacts(box)
  const earlier = facts.release === undefined ? undefined : await readJournal(box)
  const place = placeOf(boxes, earlier?.journal, request)
  const { id, n } = chooseIdentity(boxes, place, earlier?.journal, request)
  const nowS = Math.floor(request.clock.now() / 1_000)
  const found = obstacles(facts, earlier?.journal, { tunnel: n, nowS })
  if (found.length > 0 || facts.packageManager === undefined) throw refusal(request, found)

  const privateKey = place?.tunnel.privateKey ?? createWireguardKeys().privateKey
  const hostPublicKey = wireguardPublicKey(privateKey)
  const boxPrivateKey = boxKeyOf(facts) ?? createWireguardKeys().privateKey
  const [hostAddress, hostPort] = splitEndpoint(hostEndpoint(request, facts, place, n))
  const values = { tunnel: n, boxPrivateKey, hostPublicKey, hostAddress, hostPort }
  const payload = readPayload(values, request.payloadDirectory)
  const { destination, hostKey, keyFile } = request
  const boxFile: BoxFile = {
    id,
    ssh: { ...destination, hostKey, keyFile },
    tunnel: {
      n,
      privateKey,
      listenPort: place?.tunnel.listenPort ?? HOST_PORT_BASE + n,
      boxPublicKey: wireguardPublicKey(boxPrivateKey),
      boxEndpoint: showHostPort(destination.host, BOX_WIREGUARD_PORT),
      hostEndpoint: showHostPort(hostAddress, hostPort),
    },
    payload: payload.version,
    packageManager: facts.packageManager,
  }
  const steps = stepsOf(facts, earlier?.journal, payload, { tunnel: n, hostPublicKey })
  return { facts, packageManager: facts.packageManager, earlier, boxFile, place, payload, hostPublicKey, steps }
}

export function stepsOf(
  facts: BoxFacts,
  journal: Journal | undefined,
  payload: Payload,
  wanted: { readonly tunnel: number; readonly hostPublicKey: string },
): readonly Step[] {
  const groups = [
    ['files', payloadEdits(payload, journal)],
    ['tor', [uciEdit('tor', payload)]],
    ['firewall', [uciEdit('firewall', payload)]],
    ['network', [uciEdit('network', payload)]],
    ['health check', [linesEdit('/etc/crontabs/root', payload.crontab, 0o600, 'cron')]],
    ['keep list', [linesEdit('/etc/sysupgrade.conf', payload.keep, 0o644)]],
  ] as const
  return [
    packagesStep(facts),
    ...groups.map(([name, edits]) => filesStep(name, edits, journal)),
    servicesStep(
      facts,
      journal,
      groups.flatMap(([, edits]) => edits),
    ),
    verifyStep(wanted),
  ]
}

/**
 * The box file of the worker that the box is by its journal. Without a journal the box is new, or was set up anew: then that of the
 * box that had its host key or its address before.
 */
function placeOf(
  boxes: readonly BoxFile[],
  journal: Journal | undefined,
  { destination, hostKey, known }: InstallRequest,
): BoxFile | undefined {
  const candidates = [
    ...boxes.filter(({ ssh }) => ssh.hostKey === hostKey),
    ...boxes.filter(({ id, ssh }) => ssh.hostKey !== hostKey && id === known?.id),
  ]
  if (!journal) return candidates[0]
  if (journal.state === 'uninstalling')
    throw new InstallError(
      `Cannot install ${showDestination(destination)}: an uninstall of it was cut off. Let it end first: cbtor workers uninstall ${showDestination(destination)}`,
    )
  const installed = [journal.now, ...(journal.previous ? [journal.previous] : [])]
  const own = candidates.find(({ id, tunnel }) => {
    const key = wireguardPublicKey(tunnel.privateKey)
    return installed.some((one) => one.id === id && one.host_key === key)
  })
  const wasComplete = journal.state === 'installed' || journal.run !== undefined
  if (own || !wasComplete) return own
  throw new InstallError(
    `Cannot install ${showDestination(destination)}: it is worker ${journal.now.id} of another gateway, or its box file was lost. ` +
      `Take that away first: cbtor workers uninstall ${showDestination(destination)}`,
  )
}

function chooseIdentity(
  boxes: readonly BoxFile[],
  place: BoxFile | undefined,
  journal: Journal | undefined,
  { id, tunnel, destination }: InstallRequest,
): { readonly id: string; readonly n: number } {
  const fixed = journal?.now ?? (place && { id: place.id, n: place.tunnel.n })
  const box = showDestination(destination)
  if (fixed && ((id !== undefined && id !== fixed.id) || (tunnel !== undefined && tunnel !== fixed.n)))
    throw new InstallError(
      `Cannot install ${box} as ${id ?? fixed.id} with tunnel ${tunnel ?? fixed.n}: it is ${fixed.id} with tunnel ${fixed.n} already. ` +
        'Leave out --id and --tunnel, or uninstall it first',
    )
  const rivals = boxes.filter((other) => other !== place)
  const free = Array.from({ length: MAX_TUNNEL }, (_, index) => index + 1).find((one) => {
    return rivals.every((other) => other.tunnel.n !== one)
  })
  const n = tunnel ?? fixed?.n ?? free
  if (n === undefined) throw new InstallError(`Cannot install ${box}: all ${MAX_TUNNEL} tunnel numbers are taken`)
  const chosen = id ?? fixed?.id ?? `tor${String(n).padStart(2, '0')}`
  const sameTunnel = rivals.find((other) => other.tunnel.n === n)
  if (sameTunnel)
    throw new InstallError(
      `Cannot install ${box} with tunnel ${n}: worker ${sameTunnel.id} (${sameTunnel.ssh.host}) has that number. ` +
        `Give another one: --tunnel ${free ?? '…'}`,
    )
  const sameId = rivals.find((other) => other.id === chosen)
  if (sameId)
    throw new InstallError(
      `Cannot install ${box} as ${chosen}: ${sameId.ssh.host} is the worker of that id. Give another one with --id, or uninstall ${chosen} first`,
    )
  return { id: chosen, n }
}

function refusal({ destination }: InstallRequest, found: readonly string[]): InstallError {
  const reasons = found.length === 1 ? found[0] : found.map((reason, index) => `\n  ${index + 1}. ${reason}`).join('')
  return new InstallError(`Cannot install ${showDestination(destination)}; nothing was changed. ${reasons}`)
}

/** The key that wg0 has already: ours, as a wg0 of somebody else is an obstacle. */
function boxKeyOf({ configs }: BoxFacts): string | undefined {
  const key = findSection(configs.get('/etc/config/network') ?? '', 'wg0')?.options.get('private_key')
  return typeof key === 'string' && isWireguardKey(key) ? key : undefined
}

function hostEndpoint(request: InstallRequest, facts: BoxFacts, place: BoxFile | undefined, n: number): string {
  if (request.hostEndpoint !== undefined) return request.hostEndpoint
  if (place) return place.tunnel.hostEndpoint
  if (facts.connection) return showHostPort(facts.connection.hostAddress, HOST_PORT_BASE + n)
  throw new InstallError(
    `Cannot tell where the box reaches this machine. Say so: --host-endpoint ADDRESS:${HOST_PORT_BASE + n}`,
  )
}

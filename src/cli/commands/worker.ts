import { networkInterfaces } from 'node:os'
import { Command, InvalidArgumentError } from 'commander'
import { type AccessRequest, type BoxAccess, openBox } from '../../boxes/access.ts'
import { type BoxFile, isEndpoint, readBoxes, removeBoxFile, WORKER_ID } from '../../boxes/box-file.ts'
import { checkBox } from '../../boxes/install/check.ts'
import { readFacts } from '../../boxes/install/facts.ts'
import { InstallError } from '../../boxes/install/install-error.ts'
import { install, type StepChanges, showChanges, uninstall } from '../../boxes/install/installer.ts'
import { readJournal } from '../../boxes/install/journal.ts'
import { planInstall } from '../../boxes/install/plan.ts'
import { showUndo } from '../../boxes/install/undo.ts'
import { checkDestination, parseDestination, type SshDestination, showDestination } from '../../ssh/destination.ts'
import { tunnelSpec } from '../../tunnel/spec.ts'
import { type JsonFlags, type StateFlags, withState } from '../flags.ts'
import type { CliParts } from '../parts.ts'
import { stateOf } from '../state-directory.ts'
import { formatTable } from '../table.ts'

export interface WorkerParts extends CliParts {
  /** What is put on boxes, when it is not that of this program. */
  readonly payloadDirectory?: string
}

interface AccessFlags extends StateFlags, JsonFlags {
  readonly port?: number
  readonly user?: string
  readonly key?: string
  readonly acceptHostKey?: string
}

interface InstallFlags extends AccessFlags {
  readonly id?: string
  readonly tunnel?: number
  readonly hostEndpoint?: string
  readonly dryRun?: true
}

interface InstallKind {
  /** Only a box that is a worker already. */
  readonly isUpgrade?: true
}

const HOST_HELP = 'the box: root@192.0.2.11:22, 192.0.2.11, box.lan, or the id of a worker that is installed'
const BAD_USAGE = 'A box is given as root@192.0.2.11:22, box.lan or the like, and never begins with "-"; see --help.'

export function workerCommand(parts: WorkerParts): Command {
  const forBox = (name: string, description: string) => boxCommand(name, description, parts)
  const installing = (name: string, description: string, kind: InstallKind = {}) =>
    forBox(name, description)
      .option('--id <id>', "the worker's id; tor01 for tunnel 1, and so on", parseId)
      .option('--tunnel <number>', 'number of its tunnel, 1 to 254; the lowest free one', parseTunnel)
      .option('--host-endpoint <address:port>', 'where the box reaches this machine; as SSH sees it', parseEndpoint)
      .option('--dry-run', 'show every change and make none')
      .action((host: string, flags: InstallFlags) => runInstall(host, { ...flags, ...kind }, parts))
  return new Command('worker')
    .addCommand(
      installing('install', 'put Tor, the tunnel and the health check on a box').addHelpText(
        'after',
        '\nExample:\n  cbtor worker install root@192.0.2.11 --dry-run',
      ),
    )
    .addCommand(
      forBox('check', 'tell what is right and wrong on a box; exit code 1 when something is wrong').action(
        (host: string, flags: AccessFlags) => runCheck(host, flags, parts),
      ),
    )
    .addCommand(installing('upgrade', 'put what this version of CBTOR has on a worker', { isUpgrade: true }))
    .addCommand(
      forBox('uninstall', 'leave the box as it was before CBTOR came')
        .option('--dry-run', 'show every change and make none')
        .action((host: string, flags: AccessFlags & { dryRun?: true }) => runUninstall(host, flags, parts)),
    )
}

function boxCommand(name: string, description: string, { out, err }: CliParts): Command {
  return withState(new Command(name))
    .description(description)
    .exitOverride()
    .configureOutput({ writeOut: (text) => out.write(text), writeErr: (text) => err.write(text) })
    .argument('<host>', HOST_HELP)
    .option('--port <port>', 'of SSH; 22', parsePort)
    .option('--user <name>', 'of SSH; root')
    .option('--key <file>', 'private key for SSH; made in the state directory when left out')
    .option('--accept-host-key <fingerprint>', 'SHA256:… that you have compared with what the box says')
    .option('--json', 'as JSON')
    .showHelpAfterError(BAD_USAGE)
}

async function runInstall(host: string, flags: InstallFlags & InstallKind, parts: WorkerParts): Promise<void> {
  const { out, err, clock, signal } = parts
  await using access = await open(host, flags, parts)
  const { destination, hostKey, keyFile, stateDirectory, box, known } = access
  const plan = await planInstall(box, {
    destination,
    hostKey,
    keyFile,
    stateDirectory,
    clock,
    ...payloadOf(parts),
    ...(known && { known }),
    ...(flags.id !== undefined && { id: flags.id }),
    ...(flags.tunnel !== undefined && { tunnel: flags.tunnel }),
    ...(flags.hostEndpoint !== undefined && { hostEndpoint: flags.hostEndpoint }),
  })
  const { id, tunnel, payload, ssh } = plan.boxFile
  const name = showDestination(destination)
  const formerKey = plan.place && plan.place.ssh.hostKey !== hostKey ? plan.place.ssh.hostKey : undefined
  if (flags.isUpgrade && !plan.earlier)
    throw new InstallError(`Cannot upgrade ${name}: it is no worker. Install it: cbtor worker install ${name}`)
  const inPlace = formerKey === undefined ? '' : ` in the place of the box whose host key was ${formerKey}`
  const request = { destination, hostKey, keyFile, stateDirectory, clock }
  const changes = flags.dryRun
    ? await showChanges(box, plan)
    : await install({ box, plan, request, signal, onStep: (name) => err.write(`${id}: ${name}\n`) })
  if (flags.json) {
    const answer = {
      id,
      tunnel: tunnel.n,
      host: ssh.host,
      payload,
      dry_run: flags.dryRun === true,
      former_host_key: formerKey ?? null,
      changes,
    }
    out.write(`${JSON.stringify(answer, null, 2)}\n`)
    return
  }
  out.write(showSteps(changes))
  if (flags.dryRun) {
    out.write(`Nothing was changed: this was a dry run of ${name} as ${id}, tunnel ${tunnel.n}${inPlace}.\n`)
    return
  }
  if (formerKey !== undefined) {
    out.write(
      `${name} is ${id}, tunnel ${tunnel.n},${inPlace}.\n\n` +
        `Next:\n  restart the service, which reads box files when it starts\n  cbtor worker check ${id}\n  cbtor tunnel up ${id}\n`,
    )
    return
  }
  out.write(
    `${name} is ${id}, tunnel ${tunnel.n}.${changes.length === 0 ? ' Nothing had to be changed.' : ''}\n\n` +
      `Next:\n  cbtor worker check ${id}\n  cbtor tunnel up ${id}\n\n` +
      `In the configuration:\n  workers:\n    - kind: openwrt\n      id: ${id}\n      clearnet: transparent\n`,
  )
}

async function runCheck(host: string, flags: AccessFlags, parts: WorkerParts): Promise<void> {
  await using access = await open(host, flags, parts)
  const { known, destination } = access
  if (!known)
    throw new InstallError(
      `Cannot check ${showDestination(destination)}: it is no worker of this state directory (${access.stateDirectory}). ` +
        `Install it first: cbtor worker install ${showDestination(destination)}`,
    )
  const findings = await checkBox(access.box, { boxFile: known, clock: parts.clock, ...payloadOf(parts) })
  const wrong = findings.filter(({ isRight }) => !isRight)
  if (flags.json) {
    const rows = findings.map(({ name, isRight, text, mend }) => ({ name, right: isRight, text, mend }))
    parts.out.write(`${JSON.stringify({ id: known.id, right: wrong.length === 0, findings: rows }, null, 2)}\n`)
  } else {
    const rows = findings.map(({ name, isRight, text }) => [isRight ? 'right' : 'WRONG', name, text])
    parts.out.write(`${formatTable(['', known.id, ''], rows)}\n`)
    for (const { name, mend } of wrong) parts.out.write(`${name}: ${mend}\n`)
  }
  if (wrong.length > 0) {
    const count = wrong.length === 1 ? 'One thing is' : `${wrong.length} things are`
    throw new InstallError(`${count} wrong on ${known.id}: ${wrong.map(({ name }) => name).join(', ')}`)
  }
}

async function runUninstall(host: string, flags: AccessFlags & { dryRun?: true }, parts: WorkerParts): Promise<void> {
  const { out } = parts
  await using access = await open(host, flags, parts)
  const { box, destination, stateDirectory, known, hostKey } = access
  if (known && !flags.dryRun) refuseTunnelInUse(known)
  const { packageManager } = await readFacts(box)
  const earlier = await readJournal(box)
  const name = showDestination(destination)
  const planned = earlier ? showUndo(earlier.journal.original) : []
  const remarks: string[] = []
  if (!flags.dryRun) {
    if (earlier && packageManager) remarks.push(...(await uninstall(box, earlier, packageManager)))
    for (const { id, ssh } of readBoxes(stateDirectory))
      if (ssh.hostKey === hostKey || id === known?.id) removeBoxFile(stateDirectory, id)
  }
  if (flags.json) {
    out.write(`${JSON.stringify({ host: name, dry_run: flags.dryRun === true, changes: planned, remarks }, null, 2)}\n`)
    return
  }
  for (const line of planned) out.write(`${line}\n`)
  for (const remark of remarks) out.write(`note: ${remark}\n`)
  if (!earlier)
    out.write(`Nothing of CBTOR is on ${name}.${known && !flags.dryRun ? ` ${known.id} is forgotten.` : ''}\n`)
  else if (flags.dryRun) out.write('Nothing was changed: this was a dry run.\n')
  else out.write(`${name} is no worker any more. Take ${earlier.journal.now.id} out of the configuration, too.\n`)
}

/** Once its box file is gone, nobody knows what the tunnel's interface is of. */
function refuseTunnelInUse(known: BoxFile): void {
  const { interfaceName } = tunnelSpec(known)
  if (networkInterfaces()[interfaceName] === undefined) return
  throw new InstallError(
    `Cannot uninstall ${known.id}: its tunnel ${interfaceName} is up on this machine. Take ${known.id} out of the configuration, ` +
      `and its tunnel down: cbtor tunnel down ${known.id}`,
  )
}

interface OpenBox extends BoxAccess {
  readonly destination: SshDestination
  readonly stateDirectory: string
  readonly known: BoxFile | undefined
}

async function open(host: string, flags: AccessFlags, parts: WorkerParts): Promise<OpenBox> {
  const stateDirectory = stateOf(flags, parts)
  const boxes = readBoxes(stateDirectory)
  const named = boxes.find(({ id }) => id === host)
  const given = named ? named.ssh : parseDestination(host)
  const destination = checkDestination({
    user: flags.user ?? given.user,
    host: given.host,
    port: flags.port ?? given.port,
  })
  const known = named ?? boxes.find(({ ssh }) => ssh.host === destination.host && ssh.port === destination.port)
  const request: AccessRequest = {
    destination,
    stateDirectory,
    known,
    clock: parts.clock,
    ...(flags.key !== undefined && { keyFile: flags.key }),
    ...(flags.acceptHostKey !== undefined && { acceptHostKey: flags.acceptHostKey }),
    ...(parts.confirm && { confirm: parts.confirm }),
  }
  return Object.assign(await openBox(request, parts.signal), { destination, stateDirectory, known })
}

function payloadOf({ payloadDirectory }: WorkerParts) {
  return payloadDirectory === undefined ? {} : { payloadDirectory }
}

function showSteps(steps: readonly StepChanges[]): string {
  return steps.map(({ step, changes }) => `${step}\n${changes.map((change) => `  ${change}\n`).join('')}`).join('')
}

function parseId(text: string): string {
  if (WORKER_ID.test(text)) return text
  throw new InvalidArgumentError('Expected a letter, then up to 31 letters, digits or hyphens, such as tor01.')
}

function parseTunnel(text: string): number {
  const number = Number(text)
  if (/^\d{1,3}$/.test(text) && number >= 1 && number <= 254) return number
  throw new InvalidArgumentError('Expected a whole number from 1 to 254.')
}

function parsePort(text: string): number {
  const number = Number(text)
  if (/^\d{1,5}$/.test(text) && number >= 1 && number <= 65_535) return number
  throw new InvalidArgumentError('Expected a whole number from 1 to 65535.')
}

function parseEndpoint(text: string): string {
  if (isEndpoint(text)) return text
  throw new InvalidArgumentError(
    'Expected ADDRESS:PORT, such as 192.0.2.2:51821, [2001:db8::2]:51821 or home.example:51821.',
  )
}

/** What the commands for boxes do. */
import { networkInterfaces } from 'node:os'
import { type AccessRequest, type BoxAccess, openBox } from '../boxes/access.ts'
import { type BoxFile, readBoxes, removeBoxFile } from '../boxes/box-file.ts'
import { checkBox } from '../boxes/install/check.ts'
import { readFacts } from '../boxes/install/facts.ts'
import { InstallError } from '../boxes/install/install-error.ts'
import { install, type StepChanges, showChanges, uninstall } from '../boxes/install/installer.ts'
import { readJournal } from '../boxes/install/journal.ts'
import { planInstall } from '../boxes/install/plan.ts'
import { showUndo } from '../boxes/install/undo.ts'
import { checkDestination, parseDestination, type SshDestination, showDestination } from '../ssh/destination.ts'
import { tunnelSpec } from '../tunnel/spec.ts'
import type { AccessFlags, BoxWork, InstallFlags, UninstallFlags, WorkerParts } from './commands/box-commands.ts'
import { stateOf } from './state-directory.ts'
import { formatTable } from './table.ts'

export const boxWork: BoxWork = { install: runInstall, check: runCheck, uninstall: runUninstall }

async function runInstall(host: string, flags: InstallFlags, parts: WorkerParts): Promise<void> {
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
    throw new InstallError(`Cannot upgrade ${name}: it is no worker. Install it: cbtor workers install ${name}`)
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
        `Next:\n  restart the service, which reads box files when it starts\n  cbtor workers check ${id}\n  cbtor tunnel up ${id}\n`,
    )
    return
  }
  out.write(
    `${name} is ${id}, tunnel ${tunnel.n}.${changes.length === 0 ? ' Nothing had to be changed.' : ''}\n\n` +
      `Next:\n  cbtor workers check ${id}\n  cbtor tunnel up ${id}\n\n` +
      `In the configuration:\n  workers:\n    - kind: openwrt\n      id: ${id}\n      clearnet: transparent\n`,
  )
}

async function runCheck(host: string, flags: AccessFlags, parts: WorkerParts): Promise<void> {
  await using access = await open(host, flags, parts)
  const { known, destination } = access
  if (!known)
    throw new InstallError(
      `Cannot check ${showDestination(destination)}: it is no worker of this state directory (${access.stateDirectory}). ` +
        `Install it first: cbtor workers install ${showDestination(destination)}`,
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

async function runUninstall(host: string, flags: UninstallFlags, parts: WorkerParts): Promise<void> {
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

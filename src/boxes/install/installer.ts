import { deadline } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { showDestination } from '../../ssh/destination.ts'
import { SshError } from '../../ssh/errors.ts'
import { type BoxFile, readBoxes, removeBoxFile, writeBoxFile } from '../box-file.ts'
import type { BoxShell } from '../remote/box-shell.ts'
import { REMOVE_COPIES_OF_RUN, REMOVE_JOURNAL } from '../remote/file-commands.ts'
import { InstallError } from './install-error.ts'
import {
  BEFORE_RUN,
  emptyLedger,
  type InstalledIdentity,
  type Journal,
  JournalKeeper,
  ORIGINALS,
  OvertakenError,
  readJournal,
} from './journal.ts'
import type { InstallPlan, InstallRequest } from './plan.ts'
import { takeTurn } from './turn.ts'
import { undo } from './undo.ts'

/** What a step of an installation changes. */
export interface StepChanges {
  readonly step: string
  /** A readable line each. */
  readonly changes: readonly string[]
}

export interface InstallRun {
  readonly box: BoxShell
  readonly plan: InstallPlan
  readonly request: InstallRequest
  readonly signal: AbortSignal
  readonly onStep?: (name: string) => void
}

/** How long taking everything back may take when an installation failed or was interrupted. */
const ROLLBACK_WITHIN_MS = 180_000
const JOURNAL_DIRECTORY = '/etc/cbtor'

/** What `install` would change, by step; steps that change nothing are left out. */
export async function showChanges(box: BoxShell, { steps }: InstallPlan): Promise<readonly StepChanges[]> {
  const shown: StepChanges[] = []
  for (const { name, look } of steps) {
    const changes = await look(box)
    if (changes.length > 0) shown.push({ step: name, changes })
  }
  return shown
}

/**
 * Makes the box a worker and writes its box file. When a step fails, or `signal` aborts, everything that this run did is taken back
 * and it rejects with an `InstallError`. When the connection is lost, what was done stays, noted on the box: the next `install` goes
 * on from there. Resolves with the changes that were made; none if all was as it is to be.
 */
export async function install(run: InstallRun): Promise<readonly StepChanges[]> {
  const { box, plan, request } = run
  const changes = await showChanges(box, plan)
  const { earlier, boxFile } = plan
  const identity = { payload: boxFile.payload, id: boxFile.id, n: boxFile.tunnel.n, host_key: plan.hostPublicKey }
  const isComplete = earlier?.journal.state === 'installed' && earlier.journal.now.payload === identity.payload
  if (changes.length === 0 && isComplete) {
    keepBoxFile(request.stateDirectory, plan)
    return changes
  }
  await takeTurn(box)
  const keeper = await beginJournal(box, plan, identity).catch(async (error: unknown) => {
    if (!isLost(error) && !earlier) await box.removeEmptyDirectories([JOURNAL_DIRECTORY]).catch(() => {})
    throw beginFailure(error, request)
  })
  await runSteps(run, keeper)
  // Should it fail, the copies are in nobody's way until the next run.
  await box.run('remove the copies of this run', REMOVE_COPIES_OF_RUN).catch(() => {})
  return changes
}

function beginFailure(error: unknown, { destination }: InstallRequest): unknown {
  if (!isLost(error) && !(error instanceof OvertakenError)) return error
  const after = error instanceof OvertakenError ? 'When that is over, run' : 'Run'
  return new InstallError(
    `Cannot install ${showDestination(destination)}; nothing was changed yet. ${messageOf(error)}. ${after} the same command again`,
    { cause: error },
  )
}

async function beginJournal(
  box: BoxShell,
  { earlier, facts }: InstallPlan,
  now: InstalledIdentity,
): Promise<JournalKeeper> {
  if (!earlier) {
    const original = { ...emptyLedger(), directories: facts.hasOurDirectory ? [] : [JOURNAL_DIRECTORY] }
    await box.makeDirectories([JOURNAL_DIRECTORY])
    const journal: Journal = { version: 1, state: 'installing', now, original, pending: [] }
    const keeper = new JournalKeeper(box, journal, undefined)
    await keeper.note(() => {})
    return keeper
  }
  const keeper = new JournalKeeper(box, earlier.journal, earlier.file)
  await keeper.note((journal) => {
    if (journal.state === 'installed') {
      journal.previous = journal.now
      journal.run = emptyLedger()
      journal.saved = structuredClone(journal.original)
    }
    journal.state = 'installing'
    journal.now = now
  })
  return keeper
}

async function runSteps(run: InstallRun, keeper: JournalKeeper): Promise<void> {
  const { box, plan, request, signal, onStep } = run
  const { facts, packageManager, steps } = plan
  const before = readBoxes(request.stateDirectory)
  let current = ''
  let isKept = false
  try {
    for (const { name, apply } of steps) {
      current = name
      onStep?.(name)
      await apply({ box, keeper, facts, packageManager, clock: request.clock, signal })
    }
    current = 'box file'
    // Before the box says that it is complete: without the keys in this file it would be nobody's.
    keepBoxFile(request.stateDirectory, plan)
    isKept = true
    await keeper.note((journal) => {
      journal.state = 'installed'
      delete journal.previous
      delete journal.run
      delete journal.saved
    })
  } catch (error) {
    throw await takeBack(run, { step: current, boxes: isKept ? before : undefined }, error)
  }
}

interface Failed {
  readonly step: string
  /** The box files as they were before the run wrote its own; undefined: it did not. */
  readonly boxes: readonly BoxFile[] | undefined
}

/** Takes back what the run did, if the box can still be reached, and says what came of it. */
async function takeBack(
  { box, plan, request }: InstallRun,
  { step, boxes }: Failed,
  error: unknown,
): Promise<InstallError> {
  const reason = messageOf(error)
  const destination = showDestination(request.destination)
  const failed = `Cannot install ${destination}: the step "${step}" failed. ${reason}`
  const stays =
    `What was done so far is noted on the box (/etc/cbtor/install.json). Run the same command again to go on, ` +
    `or take it back: cbtor workers uninstall ${destination}`
  if (error instanceof OvertakenError)
    return new InstallError(
      `${failed}, so nothing was taken back. Wait until that is over, and run the same command again`,
      {
        cause: error,
      },
    )
  if (isLost(error)) return new InstallError(`${failed}. ${stays}`, { cause: error })
  try {
    const remarks = await rollBack(box, plan, request.clock)
    if (boxes) bringBackBoxFiles(request.stateDirectory, plan.boxFile, boxes)
    const more = remarks.length > 0 ? ` But: ${remarks.join('; ')}` : ''
    return new InstallError(`${failed}. Everything that this run had changed was taken back${more}`, { cause: error })
  } catch (second) {
    return new InstallError(`${failed}. Taking it back failed, too: ${messageOf(second)}. ${stays}`, { cause: error })
  }
}

function isLost(error: unknown): boolean {
  return error instanceof SshError && error.fault !== 'timed-out' && error.fault !== 'invalid'
}

async function rollBack(box: BoxShell, { packageManager }: InstallPlan, clock: Clock): Promise<readonly string[]> {
  // Of its own: the run's signal may have aborted just now.
  using limit = deadline(clock, ROLLBACK_WITHIN_MS, undefined, () => new Error('it took too long'))
  const bounded = box.under(limit.signal)
  // As it is on the box: what was noted last may have been interrupted, too.
  const found = await readJournal(bounded)
  if (!found) return []
  const { journal, file } = found
  // The very last note was made, and only its answer was missing.
  if (journal.state === 'installed') return ['it was complete already, and stays']
  const { run: ledger, previous, saved } = journal
  if (!ledger || !previous || !saved) return await undoAll(bounded, journal, packageManager)
  const remarks = await undo({ box: bounded, ledger, copies: BEFORE_RUN, packageManager })
  await new JournalKeeper(bounded, journal, file).note((next) => {
    Object.assign(next, { state: 'installed', now: previous, original: saved, pending: [] })
    delete next.previous
    delete next.run
    delete next.saved
  })
  await bounded.run('remove the copies of this run', REMOVE_COPIES_OF_RUN)
  return remarks
}

/** Leaves the box as it was before CBTOR came; resolves with what is not, a sentence each. */
async function undoAll(box: BoxShell, { original }: Journal, packageManager: InstallPlan['packageManager']) {
  const remarks = await undo({ box, ledger: original, copies: ORIGINALS, packageManager })
  await box.run('remove the journal', REMOVE_JOURNAL)
  await box.removeEmptyDirectories(original.directories)
  return remarks
}

/** Takes the installation away; see `undoAll`. May be cut off and run again. */
export async function uninstall(
  box: BoxShell,
  { journal, file }: NonNullable<InstallPlan['earlier']>,
  packageManager: InstallPlan['packageManager'],
): Promise<readonly string[]> {
  await takeTurn(box)
  const keeper = new JournalKeeper(box, journal, file)
  await keeper.note((next) => {
    next.state = 'uninstalling'
  })
  return await undoAll(box, journal, packageManager)
}

/**
 * Writes the box file if it says anything new, and removes an older one of the same box under another id. Throws an `InstallError`
 * when another installation has taken the id or the number of the tunnel meanwhile.
 */
function keepBoxFile(stateDirectory: string, { boxFile, place }: Pick<InstallPlan, 'boxFile' | 'place'>): void {
  const { id, tunnel } = boxFile
  const boxes = readBoxes(stateDirectory)
  const rival = boxes.find((other) => {
    if (isSameBox(other, boxFile) || other.id === place?.id) return false
    return other.id === id || other.tunnel.n === tunnel.n || other.tunnel.listenPort === tunnel.listenPort
  })
  if (rival)
    throw new InstallError(
      `Cannot write the box file of ${id}, tunnel ${tunnel.n}: ${rival.ssh.host} has become ${rival.id}, tunnel ${rival.tunnel.n}, ` +
        'meanwhile. Run this again, and give --tunnel when you install several boxes at once',
    )
  const current = boxes.find((other) => other.id === id)
  if (JSON.stringify(current) !== JSON.stringify(boxFile)) writeBoxFile(stateDirectory, boxFile)
  for (const other of boxes) {
    if (other.id !== id && isSameBox(other, boxFile)) removeBoxFile(stateDirectory, other.id)
  }
}

/** What `keepBoxFile` did, undone. Files of other boxes, which others may be at, are left alone. */
function bringBackBoxFiles(stateDirectory: string, boxFile: BoxFile, before: readonly BoxFile[]): void {
  removeBoxFile(stateDirectory, boxFile.id)
  for (const file of before) if (file.id === boxFile.id || isSameBox(file, boxFile)) writeBoxFile(stateDirectory, file)
}

function isSameBox(one: BoxFile, other: BoxFile): boolean {
  return one.ssh.hostKey === other.ssh.hostKey
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\.$/, '')
}

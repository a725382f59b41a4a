import { type BoxShell, type RemoteFile, sha256Of } from '../remote/box-shell.ts'
import {
  BEFORE_RUN,
  type FileEntry,
  type FilePart,
  type Journal,
  type JournalKeeper,
  type Ledger,
  ORIGINALS,
  type ReloadedService,
} from './journal.ts'

/**
 * A file as it is to be, as a function of what is there: for a file that others write to, too, their part stays. `earlier`: what was
 * ours in it at an earlier installation, which may be more than is ours now.
 */
export interface FileEdit {
  readonly path: string
  /** Permission bits of a file that is ours; one that others own keeps its own. */
  readonly mode: number
  readonly part: FilePart
  /** The operator may change it: then it stays as it is. */
  readonly isSettings?: true
  /** A file of an earlier version, which is to be as it was before us, or gone. */
  readonly isObsolete?: true
  /** What has to take up a change. */
  readonly reload?: ReloadedService
  edit(current: string | undefined, earlier: FilePart | undefined): string
  /** What `edit` changes, a readable line each. */
  show(current: string | undefined, earlier: FilePart | undefined): readonly string[]
}

/** What the edit would change on the box; nothing when all is as it is to be. */
export async function lookAtEdit(box: BoxShell, journal: Journal | undefined, edit: FileEdit) {
  const current = await box.read(edit.path)
  const earlier = earlierEntries(journal, edit.path)
  if (edit.isObsolete) return isAsBefore(journal, edit.path, current) ? [] : edit.show(current?.text, undefined)
  return wantedText(edit, current, earlier) === undefined ? [] : edit.show(current?.text, earlier[0]?.part)
}

/** Makes the edit, noted in the journal before, with a copy of what was there. */
export async function applyEdit(box: BoxShell, keeper: JournalKeeper, edit: FileEdit): Promise<void> {
  if (edit.isObsolete) {
    await takeAway(box, keeper, edit)
    return
  }
  const { path, part, reload } = edit
  const current = await box.read(path)
  const earlier = earlierEntries(keeper.journal, path)
  const text = wantedText(edit, current, earlier)
  if (text === undefined) return
  const left = sha256Of(Buffer.from(text, 'latin1'))
  const isOurs = earlier.some((entry) => entry.left === current?.sha256)
  await keeper.note(({ original, run, pending }) => {
    for (const ledger of run ? [original, run] : [original]) noteChange(ledger, { path, part, current, left, isOurs })
    if (reload && !pending.includes(reload)) pending.push(reload)
  })
  const { original, run } = keeper.journal
  const copies = [
    ...(isToBeCopied(original, path, current) ? [copyOf(ORIGINALS, path)] : []),
    ...(run && isToBeCopied(run, path, current) ? [copyOf(BEFORE_RUN, path)] : []),
  ]
  const mode = part.kind === 'file' ? edit.mode : (current?.mode ?? edit.mode)
  await box.write({ path, text, mode, from: current, copies })
}

async function takeAway(box: BoxShell, keeper: JournalKeeper, { path, part, reload }: FileEdit): Promise<void> {
  const current = await box.read(path)
  if (isAsBefore(keeper.journal, path, current)) return
  const left = entryOf(keeper.journal.original, path)?.original ?? null
  await keeper.note(({ original, run, pending }) => {
    for (const ledger of run ? [original, run] : [original])
      noteChange(ledger, { path, part, current, left, isOurs: true })
    if (reload && !pending.includes(reload)) pending.push(reload)
  })
  const { run } = keeper.journal
  if (run && isToBeCopied(run, path, current)) await box.copy([[path, copyOf(BEFORE_RUN, path)]])
  if (left === null) await box.remove([path])
  else await box.restore(path, copyOf(ORIGINALS, path))
}

/** Whether the file is as it was before we came. */
function isAsBefore(journal: Journal | undefined, path: string, current: RemoteFile | undefined): boolean {
  return (current?.sha256 ?? null) === (entryOf(journal?.original, path)?.original ?? null)
}

/** Where the copy of a file is. */
export function copyOf(copies: typeof ORIGINALS | typeof BEFORE_RUN, path: string): string {
  return `${copies}${path}`
}

export function entryOf(ledger: Ledger | undefined, path: string): FileEntry | undefined {
  return ledger?.files.find((entry) => entry.path === path)
}

/**
 * What the journal has of the file: before the run that is under way, and now. They differ when a run was cut off, and then what is
 * on the box may be of either.
 */
function earlierEntries(journal: Journal | undefined, path: string): readonly FileEntry[] {
  return [entryOf(journal?.saved, path), entryOf(journal?.original, path)].filter((entry) => entry !== undefined)
}

/** The text that the file is to have, or undefined if it has it. */
function wantedText(
  edit: FileEdit,
  current: RemoteFile | undefined,
  earlier: readonly FileEntry[],
): string | undefined {
  if (edit.isSettings && current && !earlier.some(({ left }) => left === current.sha256)) return undefined
  const text = edit.edit(current?.text, earlier[0]?.part)
  const isRightMode = edit.part.kind !== 'file' || current?.mode === edit.mode
  return text === current?.text && isRightMode ? undefined : text
}

interface Change {
  readonly path: string
  readonly part: FilePart
  readonly current: RemoteFile | undefined
  /** null: it is gone then. */
  readonly left: string | null
  /** What is there is what we left. */
  readonly isOurs: boolean
}

function noteChange(ledger: Ledger, { path, part, current, left, isOurs }: Change): void {
  const now = current?.sha256 ?? null
  const entry = entryOf(ledger, path)
  if (!entry) {
    ledger.files.push({ path, original: now, left, mixed: false, part })
    return
  }
  entry.mixed ||= !isOurs && now !== entry.original
  entry.left = left
  entry.part = part
}

/** A run that was cut off may have noted the change and not made the copy: so it is made as long as the original is there. */
function isToBeCopied(ledger: Ledger, path: string, current: RemoteFile | undefined): boolean {
  return current !== undefined && entryOf(ledger, path)?.original === current.sha256
}

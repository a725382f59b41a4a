import { type BoxShell, type RemoteFile, sha256Of } from '../remote/box-shell.ts'
import {
  BEFORE_RUN,
  type FileEntry,
  type FilePart,
  type JournalKeeper,
  type Ledger,
  ORIGINALS,
  type ReloadedService,
} from './journal.ts'

/** A file as it is to be, as a function of what is there: for a file that others write to, too, their part stays. */
export interface FileEdit {
  readonly path: string
  /** Permission bits of a file that is ours; one that others own keeps its own. */
  readonly mode: number
  readonly part: FilePart
  /** The operator may change it: then it stays as it is. */
  readonly isSettings?: true
  /** What has to take up a change. */
  readonly reload?: ReloadedService
  edit(current: string | undefined): string
  /** What `edit` changes, a readable line each. */
  show(current: string | undefined): readonly string[]
}

/** What the edit would change on the box; nothing when all is as it is to be. */
export async function lookAtEdit(box: BoxShell, original: Ledger | undefined, edit: FileEdit) {
  const current = await box.read(edit.path)
  return wantedText(edit, current, entryOf(original, edit.path)) === undefined ? [] : edit.show(current?.text)
}

/** Makes the edit, noted in the journal before, with a copy of what was there. */
export async function applyEdit(box: BoxShell, keeper: JournalKeeper, edit: FileEdit): Promise<void> {
  const { path, part, reload } = edit
  const current = await box.read(path)
  const text = wantedText(edit, current, entryOf(keeper.journal.original, path))
  if (text === undefined) return
  const left = sha256Of(Buffer.from(text, 'latin1'))
  await keeper.note(({ original, run, pending }) => {
    for (const ledger of run ? [original, run] : [original]) noteChange(ledger, { path, part, current, left })
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

/** Where the copy of a file is. */
export function copyOf(copies: typeof ORIGINALS | typeof BEFORE_RUN, path: string): string {
  return `${copies}${path}`
}

export function entryOf(ledger: Ledger | undefined, path: string): FileEntry | undefined {
  return ledger?.files.find((entry) => entry.path === path)
}

/** The text that the file is to have, or undefined if it has it. */
function wantedText(edit: FileEdit, current: RemoteFile | undefined, entry: FileEntry | undefined): string | undefined {
  if (edit.isSettings && current && current.sha256 !== entry?.left) return undefined
  const text = edit.edit(current?.text)
  const isRightMode = edit.part.kind !== 'file' || current?.mode === edit.mode
  return text === current?.text && isRightMode ? undefined : text
}

interface Change {
  readonly path: string
  readonly part: FilePart
  readonly current: RemoteFile | undefined
  readonly left: string
}

function noteChange(ledger: Ledger, { path, part, current, left }: Change): void {
  const now = current?.sha256 ?? null
  const entry = entryOf(ledger, path)
  if (!entry) {
    ledger.files.push({ path, original: now, left, mixed: false, part })
    return
  }
  entry.mixed ||= now !== entry.left && now !== entry.original
  entry.left = left
  entry.part = part
}

/** A run that was cut off may have noted the change and not made the copy: so it is made as long as the original is there. */
function isToBeCopied(ledger: Ledger, path: string, current: RemoteFile | undefined): boolean {
  return current !== undefined && entryOf(ledger, path)?.original === current.sha256
}

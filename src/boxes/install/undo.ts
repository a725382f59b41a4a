import type { PackageManager } from '../box-file.ts'
import { type BoxShell, sha256Of } from '../remote/box-shell.ts'
import {
  DISABLE_CRON,
  LIST_PACKAGES,
  RELOAD_FIREWALL,
  RELOAD_NETWORK,
  REMOVE_PACKAGES,
  REMOVE_TRACES_OF_TOR,
  RESTART_CRON,
  RESTART_TOR,
  STOP_AND_DISABLE_TOR,
  TUNNEL_DOWN,
  TUNNEL_UP,
  WAIT_FOR_PACKAGE_MANAGER,
} from '../remote/system-commands.ts'
import { removeLines } from '../text-lines.ts'
import { removeFromList, removeSection } from '../uci-text.ts'
import { copyOf } from './file-edit.ts'
import { BEFORE_RUN, type FileEntry, type FilePart, type Ledger, ORIGINALS } from './journal.ts'

const PACKAGES_LIMIT_MS = 180_000
const WAIT_LIMIT_MS = 90_000

/** The packages that we ask for; what else came with them is theirs. */
export const WANTED_PACKAGES = ['tor', 'wireguard-tools'] as const

export interface Undoing {
  readonly box: BoxShell
  readonly ledger: Ledger
  /** Where the copies of the ledger's files are. */
  readonly copies: typeof ORIGINALS | typeof BEFORE_RUN
  readonly packageManager: PackageManager
}

/**
 * Takes back what the ledger notes, the last change first. May be cut off and run again. Resolves with what could not be put back
 * as it was, a sentence each.
 */
export async function undo({ box, ledger, copies, packageManager }: Undoing): Promise<readonly string[]> {
  const remarks: string[] = []
  const added = await addedPackages(box, ledger, packageManager)
  const hadTor = !added.includes('tor') && !added.includes('tor-basic')
  const touches = (path: string) => ledger.files.some((entry) => entry.path === path)

  if (touches('/etc/config/network')) await box.run('take the tunnel down', TUNNEL_DOWN)
  if (!hadTor) await box.run('stop Tor', STOP_AND_DISABLE_TOR)
  for (const entry of ledger.files.toReversed()) {
    if (entry.part.kind !== 'user') await undoFile(box, entry, copies, remarks)
  }
  await box.removeEmptyDirectories(ledger.directories)
  if (touches('/etc/config/network')) {
    if (copies === BEFORE_RUN) await box.run('bring the tunnel up', TUNNEL_UP)
    else await box.run('reload the network', RELOAD_NETWORK)
  }
  if (touches('/etc/config/firewall')) await box.run('reload the firewall', RELOAD_FIREWALL)
  if (ledger.enabled.includes('cron')) await box.run('disable cron', DISABLE_CRON)
  else if (touches('/etc/crontabs/root')) await box.run('restart cron', RESTART_CRON)
  if (hadTor && ledger.enabled.includes('tor')) await box.run('disable Tor', STOP_AND_DISABLE_TOR)
  else if (hadTor && touches('/etc/config/tor')) await box.run('restart Tor', RESTART_TOR)

  if (added.length > 0) {
    await box.run('remove packages', REMOVE_PACKAGES[packageManager], inOrder(added), PACKAGES_LIMIT_MS)
    if (!hadTor) await box.run('remove what Tor left', REMOVE_TRACES_OF_TOR)
    const left = new Set(await box.lines('list the packages', LIST_PACKAGES[packageManager]))
    const stuck = added.filter((name) => left.has(name))
    if (stuck.length > 0) remarks.push(`Left in place, as other packages need them: ${stuck.join(', ')}`)
  }
  for (const entry of ledger.files) {
    if (entry.part.kind === 'user') await undoFile(box, entry, copies, remarks)
  }
  await box.removeEmptyDirectories(ledger.directories)
  if (copies === ORIGINALS) remarks.push(...(await leftMentions(box, ledger)))
  return remarks
}

async function addedPackages(box: BoxShell, ledger: Ledger, manager: PackageManager): Promise<readonly string[]> {
  const { packages } = ledger
  if (!packages) return []
  await box.run('wait for the package manager', WAIT_FOR_PACKAGE_MANAGER, [], WAIT_LIMIT_MS)
  const present = await box.lines('list the packages', LIST_PACKAGES[manager])
  // Cut off while packages were being installed: all that was not there before came with us.
  const before = packages.before && new Set(packages.before)
  const added = new Set(packages.added)
  return present.filter((name) => added.has(name) || (before && !before.has(name)))
}

/** Those that need others go before these. */
function inOrder(names: readonly string[]): readonly string[] {
  const wanted: readonly string[] = WANTED_PACKAGES
  return [...names.filter((name) => wanted.includes(name)), ...names.filter((name) => !wanted.includes(name))]
}

/** What others wrote of files that have gone with us, such as a line of the crontab that is ours no more. */
async function leftMentions(box: BoxShell, { files }: Ledger): Promise<readonly string[]> {
  const gone = files.filter(({ part, original }) => part.kind === 'file' && original === null).map(({ path }) => path)
  const shared = files.filter(({ part }) => part.kind === 'lines' || part.kind === 'uci').map(({ path }) => path)
  return [...(await box.readAll(shared))].flatMap(([path, { text }]) => {
    const lines = text.split('\n').filter((line) => !line.trim().startsWith('#'))
    return gone
      .filter((one) => lines.some((line) => line.includes(one)))
      .map((one) => `${path} names ${one} still, in a line of somebody else, and that file is gone`)
  })
}

async function undoFile(box: BoxShell, entry: FileEntry, copies: Undoing['copies'], remarks: string[]): Promise<void> {
  const { path, original, left, mixed, part } = entry
  const current = await box.read(path)
  const now = current?.sha256 ?? null
  if (now === original) return
  const isAsWeLeftIt = now === left && !mixed
  if (isAsWeLeftIt || part.kind === 'file') {
    if (!isAsWeLeftIt && current)
      remarks.push(`${path} was changed since it was installed; it was taken away all the same`)
    if (original === null) await box.remove([path])
    else await box.restore(path, copyOf(copies, path))
    return
  }
  if (!current) return
  if (part.kind === 'user' && hasUser((await box.read(copyOf(copies, path)))?.text, part.name)) return
  const text = withoutPart(current.text, part)
  if (text === current.text) return
  if (original === null && text.trim() === '') await box.remove([path])
  else await box.write({ path, text, mode: current.mode, from: current, copies: [] })
  const isAsBefore = sha256Of(Buffer.from(text, 'latin1')) === original
  if (!isAsBefore) remarks.push(`${path} was changed by others since: only our part was taken out`)
}

function hasUser(text: string | undefined, name: string): boolean {
  return text?.split('\n').some((line) => line.startsWith(`${name}:`)) ?? false
}

function withoutPart(text: string, part: FilePart): string {
  switch (part.kind) {
    case 'lines':
      return removeLines(text, part.lines)
    case 'uci': {
      const unlisted = part.listed.reduce(
        (so, { section, key, value }) => removeFromList(so, section, key, value),
        text,
      )
      return part.sections.reduce(removeSection, unlisted)
    }
    case 'user':
      return text.replace(new RegExp(`^${part.name}:.*\n`, 'm'), '')
    case 'file':
      return text
  }
}

/** What `undo` would do, a readable line each. */
export function showUndo(ledger: Ledger): readonly string[] {
  return [
    ...ledger.files
      .filter(({ part }) => part.kind !== 'user')
      .toReversed()
      .map(({ path, original }) => (original === null ? `- ${path}` : `~ ${path} (as it was before)`)),
    ...ledger.enabled.map((service) => `/etc/init.d/${service} disable`),
    ...(ledger.packages?.added ?? []).map((name) => `- package ${name}`),
    ...ledger.directories.toReversed().map((path) => `- ${path}/ (if empty)`),
  ]
}

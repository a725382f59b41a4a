import type { ListedValue, Payload, PayloadFile, UciPart } from '../payload.ts'
import { addLines, missingLines, removeLines } from '../text-lines.ts'
import {
  addToList,
  findSection,
  listOf,
  placeSection,
  removeFromList,
  removeSection,
  sectionChanges,
  type UciSection,
} from '../uci-text.ts'
import type { FileEdit } from './file-edit.ts'
import type { FilePart, Journal, ReloadedService } from './journal.ts'

/** The files of the payload that are ours alone, and those of an earlier one, by the journal, that it has no more. */
export function payloadEdits({ files }: Payload, journal: Journal | undefined): readonly FileEdit[] {
  const obsolete = (journal?.original.files ?? []).filter(({ path, part }) => {
    return part.kind === 'file' && !files.some((file) => file.path === path)
  })
  return [...obsolete.map(({ path }) => obsoleteEdit(path)), ...files.map(payloadEdit)]
}

function payloadEdit(file: PayloadFile): FileEdit {
  return {
    path: file.path,
    mode: file.mode,
    part: { kind: 'file' },
    edit: () => file.text,
    show: (current) => [showFile(file, current)],
    ...(file.isSettings && { isSettings: true }),
    ...reloadOf(file.path),
  }
}

function obsoleteEdit(path: string): FileEdit {
  return {
    path,
    mode: 0o644,
    part: { kind: 'file' },
    isObsolete: true,
    edit: () => '',
    show: () => [`- ${path} (of an earlier version)`],
    ...reloadOf(path),
  }
}

function reloadOf(path: string): Pick<FileEdit, 'reload'> {
  if (path.startsWith('/etc/hotplug.d/iface/')) return { reload: 'network' }
  return path.startsWith('/etc/tor/torrc') ? { reload: 'tor' } : {}
}
/** Our sections, and our items of other sections' lists, in a file of /etc/config. */
export function uciEdit(config: 'network' | 'firewall' | 'tor', payload: Payload): FileEdit {
  const { sections, listed } = payload.uci.get(config) ?? { sections: [], listed: [] }
  return {
    path: `/etc/config/${config}`,
    mode: 0o644,
    part: { kind: 'uci', sections: sections.map(({ name }) => name), listed: [...listed] },
    reload: config,
    edit: (current = '', earlier) =>
      listed.reduce(
        (text, { section, key, value }) => addToList(withSection(text, config, section), section, key, value),
        sections.reduce(placeSection, withoutObsolete(current, earlier, { sections, listed })),
      ),
    show: (current = '', earlier) => [
      ...obsoleteSections(earlier, sections).map((name) => `uci delete ${config}.${name}`),
      ...obsoleteItems(earlier, listed).map(
        ({ section, key, value }) => `uci del_list ${config}.${section}.${key}='${value}'`,
      ),
      ...sections.flatMap((section) => sectionChanges(config, current, section)),
      ...missingItems({ sections, listed }, current).map(
        ({ section, key, value }) => `uci add_list ${config}.${section}.${key}='${value}'`,
      ),
    ],
  }
}

/** Our lines in a file that others have lines in, too. */
export function linesEdit(path: string, lines: readonly string[], mode: number, reload?: ReloadedService): FileEdit {
  return {
    path,
    mode,
    part: { kind: 'lines', lines: [...lines] },
    ...(reload && { reload }),
    edit: (current = '', earlier) => addLines(removeLines(current, obsoleteLines(earlier, lines)), lines),
    show: (current = '', earlier) => [
      ...obsoleteLines(earlier, lines).map((line) => `- ${path}: ${line}`),
      ...missingLines(current, lines).map((line) => `+ ${path}: ${line}`),
    ],
  }
}

/** What an earlier version had there, and this one has not. */
function obsoleteLines(earlier: FilePart | undefined, lines: readonly string[]): readonly string[] {
  return earlier?.kind === 'lines' ? earlier.lines.filter((line) => !lines.includes(line)) : []
}

function obsoleteSections(earlier: FilePart | undefined, sections: readonly UciSection[]): readonly string[] {
  if (earlier?.kind !== 'uci') return []
  return earlier.sections.filter((name) => !sections.some((section) => section.name === name))
}

function obsoleteItems(earlier: FilePart | undefined, listed: readonly ListedValue[]): readonly ListedValue[] {
  if (earlier?.kind !== 'uci') return []
  return earlier.listed.filter((item) => !listed.some((one) => isSameItem(one, item)))
}

function isSameItem(one: ListedValue, other: ListedValue): boolean {
  return one.section === other.section && one.key === other.key && one.value === other.value
}

function withoutObsolete(text: string, earlier: FilePart | undefined, { sections, listed }: UciPart): string {
  return obsoleteItems(earlier, listed).reduce(
    (so, { section, key, value }) => removeFromList(so, section, key, value),
    obsoleteSections(earlier, sections).reduce(removeSection, text),
  )
}

/** The section whose list we add to is of a package; should it be gone, the package has defaults for the rest of it. */
function withSection(text: string, type: string, name: string): string {
  return findSection(text, name) ? text : placeSection(text, { type, name, options: new Map() })
}

function missingItems({ listed }: UciPart, current: string) {
  return listed.filter(
    ({ section, key, value }) => !listOf(findSection(current, section)?.options.get(key)).includes(value),
  )
}

function showFile({ path, text, mode }: PayloadFile, current: string | undefined): string {
  if (current === undefined) return `+ ${path} (new, ${sizeOf(text)})`
  if (current === text) return `~ ${path} (mode ${mode.toString(8)})`
  return `~ ${path} (${sizeOf(current)} -> ${sizeOf(text)})`
}

function sizeOf(text: string): string {
  return text.length < 1_000 ? `${text.length} B` : `${(text.length / 1_000).toFixed(1)} kB`
}

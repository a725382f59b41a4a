import type { Payload, PayloadFile, UciPart } from '../payload.ts'
import { addLines, missingLines } from '../text-lines.ts'
import { addToList, findSection, listOf, placeSection, sectionChanges } from '../uci-text.ts'
import type { FileEdit } from './file-edit.ts'
import type { ReloadedService } from './journal.ts'

/** The files of the payload that are ours alone. */
export function payloadEdits({ files }: Payload): readonly FileEdit[] {
  return files.map((file) => {
    const edit: FileEdit = {
      path: file.path,
      mode: file.mode,
      part: { kind: 'file' },
      edit: () => file.text,
      show: (current) => [showFile(file, current)],
    }
    return {
      ...edit,
      ...(file.isSettings && { isSettings: true }),
      ...(file.path.startsWith('/etc/tor/torrc') && { reload: 'tor' as const }),
    }
  })
}

/** Our sections, and our items of other sections' lists, in a file of /etc/config. */
export function uciEdit(config: 'network' | 'firewall' | 'tor', payload: Payload): FileEdit {
  const { sections, listed } = payload.uci.get(config) ?? { sections: [], listed: [] }
  return {
    path: `/etc/config/${config}`,
    mode: 0o644,
    part: { kind: 'uci', sections: sections.map(({ name }) => name), listed: [...listed] },
    reload: config,
    edit: (current = '') =>
      listed.reduce(
        (text, { section, key, value }) => addToList(withSection(text, config, section), section, key, value),
        sections.reduce(placeSection, current),
      ),
    show: (current = '') => [
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
    edit: (current = '') => addLines(current, lines),
    show: (current) =>
      missingLines(current ?? '', lines).map((line) => `+ ${path}${current === undefined ? ' (new)' : ''}: ${line}`),
  }
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

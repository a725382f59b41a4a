/** The pages of the manual as they stand, and the blocks in them. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const ROOT = join(import.meta.dirname, '..', '..')

/** What the second word of a block says: whether it is run, and if not, what it would take. `test=FILE`: that test does. */
export const MARKS = ['run', 'internet', 'root', 'box', 'lan'] as const

export interface Block {
  readonly page: string
  /** Of its first line. */
  readonly line: number
  readonly language: string
  readonly mark: string
  readonly text: string
}

/** Below the root, `README.md` first. */
export const PAGES: readonly string[] = ['README.md', ...globSync('docs/**/*.md', { cwd: ROOT }).sort()]

export function textOf(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8')
}

/** In the order in which they are read. */
export function blocksOf(page: string): readonly Block[] {
  const blocks: Block[] = []
  let open: { line: number; info: string; text: string[] } | undefined
  for (const [index, line] of textOf(page).split('\n').entries()) {
    const [, info] = /^```(.*)$/.exec(line) ?? []
    if (info === undefined) open?.text.push(line)
    else if (open === undefined) open = { line: index + 2, info, text: [] }
    else {
      const [language = '', mark = ''] = open.info.trim().split(/\s+/)
      blocks.push({ page, line: open.line, language, mark, text: `${open.text.join('\n')}\n` })
      open = undefined
    }
  }
  return blocks
}

export function placeOf({ page, line }: Block): string {
  return `${page}:${line}`
}

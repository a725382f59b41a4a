import type { MarkdownIt } from 'markdown-it'

/** A page as the table of contents has it. */
export interface Entry {
  /** Below `docs`, such as `fetch.md`. */
  readonly file: string
  /** Below `/manual`, such as `fetch`. */
  readonly path: string
  readonly title: string
}

export interface Section {
  readonly title: string
  readonly entries: readonly Entry[]
}

/** The page that is the table of contents, and the first one. */
export const CONTENTS_FILE = 'README.md'

/**
 * Reads the table of contents: each heading of the second level is a section, and each item of a list in it whose first link leads to
 * a page of ours is that page, in this order. What is not in it is no page.
 */
export function readContents(markdown: MarkdownIt, text: string): readonly Section[] {
  const sections: { title: string; entries: Entry[] }[] = []
  let isTitle = false
  let isItem = false
  for (const token of markdown.parse(text, {})) {
    if (token.type === 'heading_open') isTitle = token.tag === 'h2'
    else if (token.type === 'heading_close') isTitle = false
    else if (token.type === 'list_item_open') isItem = true
    else if (token.type === 'inline' && isTitle) sections.push({ title: token.content, entries: [] })
    else if (token.type === 'inline' && isItem) {
      isItem = false
      const [link, ...rest] = token.children ?? []
      const file = String(link?.attrGet('href') ?? '')
      const title = rest
        .slice(
          0,
          rest.findIndex(({ type }) => type === 'link_close'),
        )
        .map(({ content }) => content)
      if (/^[\w/-]+\.md$/.test(file)) sections.at(-1)?.entries.push({ file, path: pathOf(file), title: title.join('') })
    }
  }
  return sections
}

function pathOf(file: string): string {
  return file.replace(/\.md$/, '')
}

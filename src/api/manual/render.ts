import { posix } from 'node:path'
import MarkdownIt, { type MarkdownIt as Markdown, type Token } from 'markdown-it'
import { escapeHtml } from './escape-html.ts'
import { Slugs } from './slugs.ts'

export interface Heading {
  readonly level: number
  readonly anchor: string
  /** Without marks. */
  readonly text: string
}

/** A part of a page from one heading to the next, for the search. */
export interface Passage extends Heading {
  readonly body: string
  /** The same in small letters. */
  readonly low: string
}

export interface Rendered {
  readonly title: string
  readonly html: string
  readonly headings: readonly Heading[]
  readonly passages: readonly Passage[]
}

/** What a page may refer to, by its place below `docs`; undefined when it is nothing that is served. */
export interface Served {
  urlOf(file: string): string | undefined
  /** In pixels, so that the text does not jump when the picture comes. */
  sizeOf(file: string): { readonly width: number; readonly height: number } | undefined
}

/** What the second word of a block's info string tells the reader; `test/docs` holds the blocks to it. */
const LABELS: Readonly<Record<string, string>> = {
  internet: 'needs the internet',
  box: 'needs an OpenWrt box',
  root: 'as root',
  lan: 'on another machine',
}

/** In characters: up to here code in a table is not broken, so that names stay whole and columns narrow. */
const SHORT_CODE = 26

const SCROLLED = [
  ['class', 'picture'],
  ['role', 'group'],
  ['aria-label', 'Picture'],
  ['tabindex', '0'],
] as const

/** No HTML but what Markdown makes, so that a page cannot hold anything that the policy of the pages would have to stop. */
export function createMarkdown(): Markdown {
  const markdown = new MarkdownIt({ html: false })
  // The one tag that tables cannot do without.
  markdown.inline.ruler.before('autolink', 'line_break', (state, silent) => {
    if (!state.src.startsWith('<br>', state.pos)) return false
    if (!silent) state.push('hardbreak', 'br', 0)
    state.pos += '<br>'.length
    return true
  })
  const { rules } = markdown.renderer
  rules.table_open = (tokens, index) => {
    const number = tokens.slice(0, index + 1).filter(({ type }) => type === 'table_open').length
    return `<div class="wide" role="region" aria-label="Table ${number}" tabindex="0"><table>\n`
  }
  rules.table_close = () => '</table></div>\n'
  rules.heading_close = (tokens, index) => {
    const { tag, meta } = tokens[index] as Token
    const { anchor, text } = meta as unknown as Heading
    const label = escapeHtml(`Link to: ${text}`)
    return `<a class="anchor" href="#${anchor}" aria-label="${label}">#</a></${tag}>\n`
  }
  rules.code_inline = (tokens, index) => {
    const { content } = tokens[index] as Token
    return `<code${content.length > SHORT_CODE ? '' : ' class="short"'}>${escapeHtml(content)}</code>`
  }
  rules.fence = (tokens, index) => fence(tokens[index] as Token)
  rules.code_block = rules.fence
  return markdown
}

/** `file`: below `docs`, from where its links start. */
export function renderPage(markdown: Markdown, file: string, text: string, served: Served): Rendered {
  const tokens = markdown.parse(text.replaceAll(/^<!--.*?-->$/gms, ''), {})
  const slugs = new Slugs()
  const headings: Heading[] = []
  for (const [index, token] of tokens.entries()) {
    if (token.type === 'heading_open') {
      const heading = plain(tokens[index + 1])
      const anchor = slugs.of(heading)
      const found = { level: Number(token.tag.slice(1)), anchor, text: heading }
      headings.push(found)
      token.attrSet('id', anchor)
      const end = tokens[index + 2]
      if (end) end.meta = { ...found }
    }
    if (token.type === 'th_open' && tokens[index + 1]?.content === '') {
      // A heading that says nothing is none.
      token.tag = 'td'
      const end = tokens[index + 2]
      if (end) end.tag = 'td'
    }
    const [picture, ...beside] = token.children ?? []
    if (picture?.type === 'image' && beside.length === 0) {
      // On a phone it is scrolled, which keys can do, too.
      for (const [name, value] of SCROLLED) tokens[index - 1]?.attrSet(name, value)
    }
    for (const child of token.children ?? []) refer(child, file, served)
    if (token.children) token.children = withoutLostLinks(token.children)
  }
  return {
    title: headings[0]?.text ?? file,
    html: markdown.renderer.render(tokens, markdown.options, {}),
    headings,
    passages: passagesOf(tokens, headings),
  }
}

/** Points a link or picture to where it is served; what is not served loses its address. */
function refer(token: Token, file: string, served: Served): void {
  const name = token.type === 'link_open' ? 'href' : token.type === 'image' ? 'src' : undefined
  if (name === undefined) return
  const target = String(token.attrGet(name) ?? '')
  if (/^[a-z][a-z0-9+.-]*:/i.test(target)) {
    token.attrSet('rel', 'noreferrer')
    return
  }
  const [path = '', anchor] = target.split('#')
  const place = path === '' ? file : posix.join(posix.dirname(file), path)
  const url = served.urlOf(place)
  token.attrSet(name, url === undefined ? '' : anchor === undefined ? url : `${url}#${anchor}`)
  if (token.type !== 'image') return
  const size = served.sizeOf(place)
  if (size !== undefined) token.attrs?.push(['width', String(size.width)], ['height', String(size.height)])
}

/** Links to files that only the repository has become text. */
function withoutLostLinks(tokens: Token[]): Token[] {
  let isLost = false
  return tokens.filter((token) => {
    if (token.type === 'link_open') isLost = token.attrGet('href') === ''
    if (!isLost) return true
    if (token.type === 'link_close') isLost = false
    return !token.type.startsWith('link_')
  })
}

function fence({ info, content }: Token): string {
  const [language = '', mark = ''] = info.trim().split(/\s+/)
  const code = /^(?:sh|bash|yaml|python|ini|dockerfile)$/.test(language)
    ? content
        .split('\n')
        .map((line) => withComment(line))
        .join('\n')
    : escapeHtml(content)
  const label = LABELS[mark]
  const note = label === undefined ? '' : `<figcaption>${escapeHtml(label)}</figcaption>`
  return `<figure class="code">${note}<pre tabindex="0"><code>${code}</code></pre></figure>\n`
}

/** What stands behind a # is a remark, in all languages that our pages write. */
function withComment(line: string): string {
  const [, code = '', comment = ''] = /^((?:|.*?\s))(#(?!\S+[}"']).*)$/.exec(line) ?? []
  return comment === '' ? escapeHtml(line) : `${escapeHtml(code)}<i>${escapeHtml(comment)}</i>`
}

function passagesOf(tokens: readonly Token[], headings: readonly Heading[]): readonly Passage[] {
  const bodies: string[][] = headings.map(() => [])
  let at = -1
  for (const [index, token] of tokens.entries()) {
    if (token.type === 'heading_open') at += 1
    else if (token.type === 'fence') bodies[at]?.push(token.content)
    else if (token.type === 'inline' && tokens[index - 1]?.type !== 'heading_open') bodies[at]?.push(plain(token))
  }
  return headings.map((heading, index) => {
    const body = (bodies[index] ?? []).join(' ').replaceAll(/\s+/g, ' ')
    return { ...heading, body, low: body.toLowerCase() }
  })
}

function plain(token: Token | undefined): string {
  const words = (token?.children ?? []).map(({ type, content }) => (/break$/.test(type) ? ' ' : content))
  return words.join('')
}

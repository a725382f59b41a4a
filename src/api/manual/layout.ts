import type { Entry, Section } from './contents.ts'
import { escapeHtml } from './escape-html.ts'
import type { Heading, Rendered } from './render.ts'
import { type Found, MAX_QUESTION } from './search.ts'

export interface Around {
  readonly previous: Entry | undefined
  readonly next: Entry | undefined
}

/** Of a section of the contents with more pages, the list is folded unless one of them is shown. */
const FOLDED_FROM = 15

export function layOut(sections: readonly Section[], entry: Entry, page: Rendered, around: Around): string {
  const section = sections.find(({ entries }) => entries.includes(entry))
  const parts = page.headings.filter(({ level }) => level === 2 || level === 3)
  // The first page is a list of its own.
  const here = parts.length < 3 || section === undefined ? '' : partList(parts)
  return frame(sections, {
    title: page.title,
    path: entry.path,
    question: '',
    main: `${section ? `<p class="section">${escapeHtml(section.title)}</p>` : ''}
${here && `<details class="here"><summary>On this page</summary>${here}</details>`}
<article>
${page.html}</article>
${turn(around)}`,
    aside: here && `<aside aria-label="On this page"><p>On this page</p>${here}</aside>`,
  })
}

export function foundPage(sections: readonly Section[], question: string, found: readonly Found[]): string {
  const told = found.length === 0 ? 'Nothing' : found.length === 1 ? 'One place' : `${found.length} places`
  const words =
    question.trim() === ''
      ? 'Write one or more words above.'
      : `${told} with all words of “${escapeHtml(question.trim())}”.`
  const items = found.map(
    ({ path, page, heading, anchor, excerpt }) =>
      `<li><a href="${url(path)}#${escapeHtml(anchor)}">${escapeHtml(heading)}</a>${page === heading ? '' : ` <span>${escapeHtml(page)}</span>`}<p>${escapeHtml(excerpt)}</p></li>`,
  )
  return frame(sections, {
    title: 'Search',
    path: undefined,
    question,
    main: `<article><h1>Search</h1>\n<p>${words}</p>\n${items.length === 0 ? '' : `<ol class="found">${items.join('\n')}</ol>`}</article>`,
    aside: '',
  })
}

/** For people who have followed a link of elsewhere, or of another version. */
export function missingPage(sections: readonly Section[], path: string, found: readonly Found[]): string {
  const near = found
    .slice(0, 5)
    .map(
      ({ path: place, anchor, heading }) =>
        `<li><a href="${url(place)}#${escapeHtml(anchor)}">${escapeHtml(heading)}</a></li>`,
    )
  return frame(sections, {
    title: 'No such page',
    path: undefined,
    question: '',
    main: `<article><h1>No such page</h1>
<p>The manual has no page “${escapeHtml(path)}”. Its <a href="/manual">contents</a> have all that there are${near.length === 0 ? '.' : ', such as'}</p>
${near.length === 0 ? '' : `<ul>${near.join('')}</ul>`}</article>`,
    aside: '',
  })
}

interface Filling {
  readonly title: string
  /** Of the page that is shown, if it is in the contents. */
  readonly path: string | undefined
  readonly question: string
  readonly main: string
  readonly aside: string
}

function frame(sections: readonly Section[], { title, path, question, main, aside }: Filling): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${escapeHtml(title)} · CBTOR</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/manual/style.css">
</head>
<body>
<a class="skip" href="#main">To the text</a>
<header>
<a class="brand" href="/manual">CBTOR <span>manual</span></a>
<button class="menu" type="button" popovertarget="contents">Contents</button>
<form role="search" action="/manual/search"><input type="search" name="q" value="${escapeHtml(question)}" maxlength="${MAX_QUESTION}" placeholder="Search" aria-label="Search the manual" autocomplete="off"><button type="submit">Search</button></form>
<nav aria-label="This service"><a href="/">Dashboard</a> <a href="/docs">API</a> <a href="/redoc">Reference</a></nav>
</header>
<div class="page">
<nav id="contents" popover aria-label="Contents">
<p class="close"><button type="button" popovertarget="contents" popovertargetaction="hide">Close</button></p>
${sections.map((section) => sectionList(section, path)).join('\n')}
</nav>
<main id="main" tabindex="-1">
${main}
</main>
${aside}
</div>
</body>
</html>
`
}

function sectionList({ title, entries }: Section, shown: string | undefined): string {
  const items = entries.map(
    ({ path, title: name }) =>
      `<li><a href="${url(path)}"${path === shown ? ' aria-current="page"' : ''}>${escapeHtml(name)}</a></li>`,
  )
  const list = `<ul>${items.join('')}</ul>`
  if (entries.length < FOLDED_FROM) return `<p>${escapeHtml(title)}</p>${list}`
  const isOpen = entries.some(({ path }) => path === shown)
  return `<details${isOpen ? ' open' : ''}><summary>${escapeHtml(title)}</summary>${list}</details>`
}

function partList(parts: readonly Heading[]): string {
  const items = parts.map(
    ({ level, anchor, text }) =>
      `<li class="of-${level}"><a href="#${escapeHtml(anchor)}">${escapeHtml(text)}</a></li>`,
  )
  return `<ul>${items.join('')}</ul>`
}

function turn({ previous, next }: Around): string {
  const back = previous
    ? `<a rel="prev" href="${url(previous.path)}"><span>Before</span> ${escapeHtml(previous.title)}</a>`
    : ''
  const on = next ? `<a rel="next" href="${url(next.path)}"><span>Next</span> ${escapeHtml(next.title)}</a>` : ''
  return `<nav class="turn" aria-label="Pages before and after">${back}${on}</nav>`
}

function url(path: string): string {
  return path === '' ? '/manual' : `/manual/${escapeHtml(path)}`
}

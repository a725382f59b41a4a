import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CONTENTS_FILE, type Entry, readContents, type Section } from './contents.ts'
import { foundPage, layOut, missingPage } from './layout.ts'
import { createMarkdown, type Rendered, renderPage } from './render.ts'
import { MAX_QUESTION, type Searched, search } from './search.ts'
import { STYLE } from './style.ts'

/** Beside `src` and beside `dist`, in a checkout and in the package. */
const DOCS = fileURLToPath(new URL('../../../docs/', import.meta.url))

/** What is served besides pages, and as what: pictures, and files that pages show; these as text, so that a browser shows them. */
const TYPES: Readonly<Record<string, string>> = {
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.yaml': 'text/plain; charset=utf-8',
  '.yml': 'text/plain; charset=utf-8',
  '.json': 'text/plain; charset=utf-8',
  '.py': 'text/plain; charset=utf-8',
  '.sh': 'text/plain; charset=utf-8',
}

export interface Served {
  readonly type: string
  readonly body: string | Buffer
  readonly etag: string
}

/**
 * The pages of `docs`. What there is to serve is known when it is made: the pages of the table of contents, and the pictures and files
 * that lie beside them. A request names one of these, or nothing; no path is made of it. What was read is kept: the files belong to the
 * program and change with it.
 */
export class Manual {
  readonly #markdown = createMarkdown()
  readonly #files: ReadonlyMap<string, { readonly file: string; readonly type: string }>
  readonly #sizes = new Map<string, { readonly width: number; readonly height: number }>()
  readonly #pages = new Map<string, Promise<Rendered>>()
  readonly #kept = new Map<string, Promise<Served>>()
  #contents: Promise<readonly Section[]> | undefined

  constructor() {
    const names = readdirSync(DOCS, { recursive: true, encoding: 'utf8' }).map((name) => name.replaceAll('\\', '/'))
    this.#files = new Map(
      names.flatMap((file) => {
        const type = TYPES[extname(file)]
        return type === undefined ? [] : [[file, { file, type }]]
      }),
    )
  }

  /** `path`: what stands behind `/manual/`; empty for the first page. Undefined when there is nothing of that name. */
  async get(path: string): Promise<Served | undefined> {
    if (path === 'style.css') return this.#keep(path, async () => servedAs('text/css; charset=utf-8', STYLE))
    const file = this.#files.get(path)
    if (file) return this.#keep(path, async () => servedAs(file.type, await readFile(join(DOCS, file.file))))
    const entries = await this.entries()
    const entry = entries.find((each) => each.path === path)
    return entry && this.#keep(path, () => this.#layOut(entry))
  }

  async search(question: string): Promise<string> {
    const asked = question.slice(0, MAX_QUESTION)
    return foundPage(await this.#sections(), asked, search(await this.#searched(), asked))
  }

  /** Says that there is no such page, and which may have been meant. */
  async missing(path: string): Promise<string> {
    const words = path.replaceAll(/\W+/g, ' ')
    return missingPage(await this.#sections(), path, search(await this.#searched(), words))
  }

  async #searched(): Promise<readonly Searched[]> {
    const pages = []
    for (const entry of await this.entries()) {
      const { title, passages } = await this.#page(entry)
      pages.push({ path: entry.path, title, passages })
    }
    return pages
  }

  /** All pages, in the order in which they are read. */
  async entries(): Promise<readonly Entry[]> {
    const first = { file: CONTENTS_FILE, path: '', title: 'Contents' }
    return [first, ...(await this.#sections()).flatMap(({ entries }) => entries)]
  }

  #sections(): Promise<readonly Section[]> {
    this.#contents ??= readFile(join(DOCS, CONTENTS_FILE), 'utf8').then((text) => readContents(this.#markdown, text))
    return this.#contents
  }

  async #layOut(entry: Entry): Promise<Served> {
    const entries = await this.entries()
    const at = entries.findIndex(({ path }) => path === entry.path)
    const page = await this.#page(entry)
    const around = { previous: entries[at - 1], next: entries[at + 1] }
    return servedAs('text/html; charset=utf-8', layOut(await this.#sections(), entry, page, around))
  }

  #page(entry: Entry): Promise<Rendered> {
    return kept(this.#pages, entry.file, async () => {
      const pages = new Map((await this.entries()).map(({ file, path }) => [file, path]))
      const text = await readFile(join(DOCS, entry.file), 'utf8')
      for (const [, name = ''] of text.matchAll(/!\[[^\]]*\]\((images\/[^)]+)\)/g)) await this.#measure(name)
      return renderPage(this.#markdown, entry.file, text, {
        urlOf: (file) => {
          const path = pages.get(file)
          if (path !== undefined) return path === '' ? '/manual' : `/manual/${path}`
          return this.#files.has(file) ? `/manual/${file}` : undefined
        },
        sizeOf: (file) => this.#sizes.get(file),
      })
    })
  }

  async #measure(name: string): Promise<void> {
    if (!this.#files.has(name)) return
    const size = sizeOf(await readFile(join(DOCS, name)))
    if (size !== undefined) this.#sizes.set(name, size)
  }

  #keep(path: string, make: () => Promise<Served>): Promise<Served> {
    return kept(this.#kept, path, make)
  }
}

/** What failed once is tried again. */
function kept<T>(store: Map<string, Promise<T>>, name: string, make: () => Promise<T>): Promise<T> {
  const known = store.get(name)
  if (known !== undefined) return known
  const made = make()
  store.set(name, made)
  made.catch(() => store.delete(name))
  return made
}

function servedAs(type: string, body: string | Buffer): Served {
  return { type, body, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"` }
}

/** Of a PNG by its first chunk, of an SVG by its viewBox. */
function sizeOf(bytes: Buffer): { width: number; height: number } | undefined {
  if (bytes.subarray(1, 4).toString('latin1') === 'PNG') {
    return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) }
  }
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(bytes.toString('latin1', 0, 400)) ?? []
  return width === undefined ? undefined : { width: Number(width), height: Number(height) }
}

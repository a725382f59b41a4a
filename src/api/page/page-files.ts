import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What browsers and we know, the smallest first; each file of the page lies there in all of them. */
const ENCODINGS = [
  { name: 'br', suffix: '.br' },
  { name: 'gzip', suffix: '.gz' },
] as const

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

export interface PageFile {
  readonly type: string
  readonly bytes: Buffer
  /** The same, compressed, by the names of HTTP. */
  readonly encoded: ReadonlyMap<string, Buffer>
}

/** The page as it was built: all its files by name, `index.html` among them. */
export type PageFiles = ReadonlyMap<string, PageFile>

/** Both from `src/api/page` and from `dist/api/page`. */
const BUILT = fileURLToPath(new URL('../../../dashboard/dist', import.meta.url))

/** Reads all of it (some 100 KB), so that nothing is looked up by a name that a client wrote. Undefined when it was not built. */
export function readPageFiles(directory = BUILT): PageFiles | undefined {
  if (!existsSync(join(directory, 'index.html'))) return undefined
  const names = readdirSync(directory)
  const read = (name: string) => readFileSync(join(directory, name))
  return new Map(
    names.flatMap((name) => {
      const type = TYPES[extname(name)]
      if (type === undefined) return []
      const encoded = ENCODINGS.flatMap((encoding) => {
        const file = `${name}${encoding.suffix}`
        return names.includes(file) ? [[encoding.name, read(file)] as const] : []
      })
      return [[name, { type, bytes: read(name), encoded: new Map(encoded) }] as const]
    }),
  )
}

/** The encoding to answer in, and the bytes: what the client takes, the smallest of it. */
export function chosenEncoding(file: PageFile, accepted: string | undefined): readonly [string | undefined, Buffer] {
  const taken = (accepted ?? '')
    .split(',')
    .map((each) => each.trim().toLowerCase())
    .filter((each) => !/;\s*q=0(?:\.0*)?$/.test(each))
    .map((each) => each.split(';', 1)[0]?.trim())
  for (const [name, bytes] of file.encoded) if (taken.includes(name)) return [name, bytes]
  return [undefined, file.bytes]
}

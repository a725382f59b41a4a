/** A body as it is shown: always as text, of which no more is drawn than a page can bear. */
export interface ShownBody {
  /** Undefined for what is no text. */
  readonly text: string | undefined
  /** How many characters of the text are left out. */
  readonly leftOut: number
}

export const MAX_CHARACTERS = 20_000

export function shownBody(body: string, encoding: 'text' | 'base64'): ShownBody {
  if (encoding === 'base64') return { text: undefined, leftOut: 0 }
  return { text: body.slice(0, MAX_CHARACTERS), leftOut: Math.max(0, body.length - MAX_CHARACTERS) }
}

/** The bytes of a body, for a file. */
export function bytesOf(body: string, encoding: 'text' | 'base64'): Uint8Array<ArrayBuffer> {
  if (encoding === 'text') return new TextEncoder().encode(body)
  return Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0))
}

/** The last part of the URL's path as the name of a file, without what a file system could take for something else. */
export function fileNameOf(url: string): string {
  const { hostname, pathname } = new URL(url)
  const last = pathname.split('/').filter(Boolean).at(-1)
  const name = (last ?? hostname).replaceAll(/[^\w.-]+/g, '-').replace(/^[.-]+/, '')
  return name.slice(0, 100) || 'body'
}

import { forget, keep, recall } from './storage.ts'

/**
 * The key of the page. It is kept for this tab alone (`sessionStorage`), and never in a cookie, an address or what outlasts the tab.
 */
const PLACE = 'cbtor-key'
const KEY = /^cbt_[0-9A-Za-z]+_[0-9A-Za-z]+$/

/** Whether it looks like a key. Only such a text can be sent: browsers refuse a header with other letters, as if nobody had answered. */
export function isKey(text: string): boolean {
  return KEY.test(text)
}

/**
 * Takes a key out of the fragment of the address (`#key=…`), which no browser sends, and out of the history of the tab. (The
 * browser's own list of visited addresses keeps it: no page can change that.) When what stands
 * there is none, as it was copied in part, there is no key, and one is asked for.
 */
export function takeKeyFromAddress(location: Location, history: History): void {
  const key = keyIn(location.hash)
  if (key === undefined) return
  history.replaceState(null, '', `${location.pathname}${location.search}`)
  if (isKey(key)) keepKey(key)
  else forgetKey()
}

export function keyIn(fragment: string): string | undefined {
  return new URLSearchParams(fragment.replace(/^#/, '')).get('key')?.trim() || undefined
}

export function storedKey(): string | undefined {
  return recall('sessionStorage', PLACE)
}

export function keepKey(key: string): void {
  keep('sessionStorage', PLACE, key)
}

export function forgetKey(): void {
  forget('sessionStorage', PLACE)
}

/**
 * The key of the page. It is kept for this tab alone (`sessionStorage`), and never in a cookie, an address or what outlasts the tab.
 */
const PLACE = 'cbtor-key'

/** Takes a key out of the fragment of the address (`#key=…`), which no browser sends, and out of the history with it. */
export function takeKeyFromAddress(location: Location, history: History): void {
  const key = keyIn(location.hash)
  if (key === undefined) return
  history.replaceState(null, '', `${location.pathname}${location.search}`)
  keepKey(key)
}

export function keyIn(fragment: string): string | undefined {
  return new URLSearchParams(fragment.replace(/^#/, '')).get('key')?.trim() || undefined
}

export function storedKey(): string | undefined {
  return sessionStorage.getItem(PLACE) ?? undefined
}

export function keepKey(key: string): void {
  sessionStorage.setItem(PLACE, key)
}

export function forgetKey(): void {
  sessionStorage.removeItem(PLACE)
}

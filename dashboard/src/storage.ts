/** `sessionStorage` is the tab's, `localStorage` the browser's. */
export type Area = 'sessionStorage' | 'localStorage'

/** A browser may be told to keep nothing, and then throws when it is only asked: this page remembers instead, until it is left. */
const remembered = new Map<string, string>()

export function recall(area: Area, name: string): string | undefined {
  try {
    return globalThis[area].getItem(name) ?? undefined
  } catch {
    return remembered.get(name)
  }
}

export function keep(area: Area, name: string, value: string): void {
  try {
    globalThis[area].setItem(name, value)
  } catch {
    remembered.set(name, value)
  }
}

export function forget(area: Area, name: string): void {
  remembered.delete(name)
  try {
    globalThis[area].removeItem(name)
  } catch {
    // There was nothing but what has just been forgotten.
  }
}

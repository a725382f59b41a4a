import { useEffect, useState } from 'preact/hooks'

/** What the address says after `#/`: a section, and what of it: `#/workers/tor02`. */
export interface Route {
  readonly section: string
  readonly rest: readonly string[]
}

export function parseRoute(hash: string): Route {
  const [section = '', ...rest] = hash.replace(/^#\/?/, '').split('/').map(decoded)
  return { section: section || 'overview', rest }
}

/** A link to a section, or to something of it. */
export function linkTo(section: string, ...rest: readonly string[]): string {
  return `#/${[section, ...rest].map(encodeURIComponent).join('/')}`
}

/** What the address says now. */
export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash)
  useEffect(() => {
    const follow = () => setHash(location.hash)
    window.addEventListener('hashchange', follow)
    return () => window.removeEventListener('hashchange', follow)
  }, [])
  return parseRoute(hash)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

interface Entry {
  readonly pattern: RegExp
  readonly methods: Set<string>
}

/** Knows which methods a path has, to tell 405 from 404; the router itself knows only whether method and path fit. */
export class RouteTable {
  readonly #entries = new Map<string, Entry>()

  /** `url` as routes are written: `/workers/:n`, `/static/*`. */
  add(url: string, methods: string | readonly string[]): void {
    const entry = this.#entries.get(url) ?? { pattern: patternOf(url), methods: new Set() }
    for (const method of [methods].flat()) entry.methods.add(method)
    this.#entries.set(url, entry)
  }

  /** Sorted; empty when there is no such path. */
  methodsOf(path: string): string[] {
    const entries = [...this.#entries.values()].filter(({ pattern }) => pattern.test(path))
    return [...new Set(entries.flatMap(({ methods }) => [...methods]))].sort()
  }
}

/** Our paths have letters, digits, slashes, hyphens and dots besides parameters. */
function patternOf(url: string): RegExp {
  const source = url
    .split(/(:\w+|\*)/)
    .map((part) => (part === '*' ? '.*' : part.startsWith(':') ? '[^/]+' : part.replaceAll('.', '\\.')))
    .join('')
  return new RegExp(`^${source}$`)
}

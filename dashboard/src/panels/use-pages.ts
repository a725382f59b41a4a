import { useCallback, useEffect, useState } from 'preact/hooks'
import { usePage } from '../context.ts'
import { isSeen, sleep } from '../time/clock.ts'
import { keepAsking } from '../ui/keep-asking.ts'

export interface Pages<T> {
  /** Undefined until the first answer. */
  readonly items: readonly T[] | undefined
  /** Why the latest try had no answer. */
  readonly error: unknown
  readonly hasMore: boolean
  loadMore(): void
  /** Asks again now. */
  reload(): void
}

interface PagesOptions<T> {
  pick(body: never): { readonly items: readonly T[]; readonly next: string | null }
  /** How long after an answer to ask again; undefined: not by itself. */
  readonly everyMs: number | undefined
}

/**
 * A list that the API gives in pages: the first at once, the others when asked for. Begins anew when `path` is another; what was there
 * stays until all pages that were asked for have come again.
 */
export function usePages<T>(path: string, { pick, everyMs }: PagesOptions<T>): Pages<T> {
  const { api } = usePage()
  const [cursors, setCursors] = useState<readonly (string | null)[]>([null])
  const [known, setKnown] = useState<{ path: string; pages: readonly (readonly T[])[]; next: string | null }>()
  const [error, setError] = useState<unknown>()
  const [round, setRound] = useState(0)
  const reload = useCallback(() => setRound((count) => count + 1), [])

  // `round` is what asks again.
  useEffect(() => {
    const end = new AbortController()
    void keepAsking(() => load(end.signal), { everyMs, isSeen, sleep }, end.signal)
    return () => end.abort()

    async function load(signal: AbortSignal) {
      try {
        const pages: (readonly T[])[] = []
        let next: string | null = null
        for (const cursor of cursors) {
          const query = cursor === null ? '' : `${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}`
          const page = pick((await api.get(`${path}${query}`, signal)) as never)
          pages.push(page.items)
          next = page.next
        }
        setKnown({ path, pages, next })
        setError(undefined)
      } catch (failure) {
        if (!signal.aborted) setError(failure)
      }
    }
  }, [api, path, cursors, everyMs, round])

  const next = known?.path === path ? known.next : null
  return {
    items: known?.path === path ? known.pages.flat() : undefined,
    error,
    hasMore: next !== null,
    reload,
    loadMore: () => next !== null && setCursors((before) => [...before, next]),
  }
}

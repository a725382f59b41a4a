import { useEffect, useState } from 'preact/hooks'
import { usePage } from '../context.ts'

export interface Pages<T> {
  readonly items: readonly T[]
  readonly error: unknown
  readonly isLoading: boolean
  readonly hasMore: boolean
  loadMore(): void
}

/**
 * A list that the API gives in pages: the first at once, the others when asked for. Begins anew when `path` or `round` is another;
 * what was there stays until the first page has come.
 */
export function usePages<T>(
  path: string,
  pick: (body: never) => { readonly items: readonly T[]; readonly next: string | null },
  round: unknown,
): Pages<T> {
  const { api } = usePage()
  const [cursors, setCursors] = useState<readonly (string | null)[]>([null])
  const [known, setKnown] = useState<{ path: string; pages: readonly (readonly T[])[]; next: string | null }>()
  const [error, setError] = useState<unknown>()
  const [isLoading, setLoading] = useState(true)

  useEffect(() => {
    const end = new AbortController()
    void load(end.signal)
    return () => end.abort()

    async function load(signal: AbortSignal) {
      setLoading(true)
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
      } finally {
        if (!signal.aborted) setLoading(false)
      }
    }
  }, [api, path, cursors, round])

  const next = known?.path === path ? known.next : null
  return {
    items: known?.path === path ? known.pages.flat() : [],
    ...{ error, isLoading },
    hasMore: next !== null,
    loadMore: () => next !== null && setCursors((before) => [...before, next]),
  }
}

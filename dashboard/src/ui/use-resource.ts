import { useCallback, useEffect, useState } from 'preact/hooks'
import { usePage } from '../context.ts'
import { isSeen, sleep } from '../time/clock.ts'
import { keepAsking } from './keep-asking.ts'

export interface Resource<T> {
  /** The latest answer; kept when a later one fails. */
  readonly data: T | undefined
  /** Why the latest try had no answer. */
  readonly error: unknown
  /** Asks again now. */
  reload(): void
}

/**
 * What is at a path of the API: asked for when it is first shown, and then every `everyMs` for as long as it is shown and the
 * page is seen. Nothing is asked while `path` is undefined.
 */
export function useResource<T>(path: string | undefined, { everyMs }: { readonly everyMs?: number } = {}): Resource<T> {
  const { api } = usePage()
  const [answer, setAnswer] = useState<{ path?: string; data?: T; error?: unknown }>({})
  const [round, setRound] = useState(0)
  const reload = useCallback(() => setRound((count) => count + 1), [])

  // `round` is what asks again.
  useEffect(() => {
    if (path === undefined) return
    const end = new AbortController()
    void keepAsking(() => ask(path, end.signal), { everyMs, isSeen, sleep }, end.signal)
    return () => end.abort()

    async function ask(path: string, signal: AbortSignal) {
      try {
        const data = await api.get<T>(path, signal)
        setAnswer({ path, data })
      } catch (error) {
        if (!signal.aborted) setAnswer((before) => ({ ...(before.path === path && before), path, error }))
      }
    }
  }, [api, path, everyMs, round])

  const isCurrent = answer.path === path
  return { data: isCurrent ? answer.data : undefined, error: isCurrent ? answer.error : undefined, reload }
}

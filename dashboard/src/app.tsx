import { useEffect, useMemo, useState } from 'preact/hooks'
import type { WhoamiBody } from './api/bodies.ts'
import { type Api, ApiFailure, createApi, textOf } from './api/client.ts'
import { type Page, PageContext } from './context.ts'
import { forgetKey, keepKey, keyIn, storedKey, takeKeyFromAddress } from './key.ts'
import { followService } from './live/live-link.ts'
import { NOTHING_YET, reduce } from './live/live-state.ts'
import { KeyForm } from './shell/key-form.tsx'
import { useNotices } from './shell/notices.tsx'
import { Shell } from './shell/shell.tsx'
import { Splash } from './shell/splash.tsx'
import { Store } from './store.ts'
import { every, isSeen, now, onSight, sleep } from './time/clock.ts'

type Entry =
  | { readonly state: 'knocking' }
  /** A key is needed; `why` when one was there. */
  | { readonly state: 'outside'; readonly why?: string }
  | { readonly state: 'unreachable'; readonly why: string }
  | { readonly state: 'inside'; readonly caller: WhoamiBody }

/** Lets in who has a key, or anybody where none is asked for; asks again when the key is refused. */
export function App() {
  const [entry, setEntry] = useState<Entry>({ state: 'knocking' })
  const [round, setRound] = useState(0)
  const api = useMemo(
    () =>
      createApi(storedKey, (failure) => {
        const hadKey = storedKey() !== undefined
        forgetKey()
        setEntry({ state: 'outside', ...(hadKey && { why: failure.message }) })
      }),
    [],
  )

  // `round` is what knocks again.
  useEffect(() => {
    setEntry({ state: 'knocking' })
    const end = new AbortController()
    api.get<WhoamiBody>('/api/v1/whoami', end.signal).then(
      (caller) => setEntry({ state: 'inside', caller }),
      (error: unknown) => {
        if (end.signal.aborted || (error instanceof ApiFailure && error.isAboutKey)) return
        setEntry({ state: 'unreachable', why: textOf(error) })
      },
    )
    return () => end.abort()
  }, [api, round])

  // A link with a key may be opened in a tab that is here already.
  useEffect(() => {
    const take = () => {
      if (keyIn(location.hash) === undefined) return
      takeKeyFromAddress(location, history)
      setRound((count) => count + 1)
    }
    window.addEventListener('hashchange', take)
    return () => window.removeEventListener('hashchange', take)
  }, [])

  const knockAgain = () => setRound((count) => count + 1)
  switch (entry.state) {
    case 'knocking':
      return <Splash />
    case 'unreachable':
      return <Splash why={entry.why} onRetry={knockAgain} />
    case 'outside':
      return (
        <KeyForm
          why={entry.why}
          onKey={(key) => {
            keepKey(key)
            knockAgain()
          }}
        />
      )
    case 'inside':
      return (
        <Inside
          api={api}
          caller={entry.caller}
          onSignOut={() => {
            forgetKey()
            setEntry({ state: 'outside' })
          }}
        />
      )
  }
}

interface InsideProps {
  readonly api: Api
  readonly caller: WhoamiBody
  readonly onSignOut: () => void
}

function Inside({ api, caller, onSignOut }: InsideProps) {
  const { notify, notices } = useNotices()
  const live = useMemo(() => new Store(reduce, NOTHING_YET), [])
  // `onSignOut` does the same each time.
  const page = useMemo<Page>(() => ({ api, live, caller, notify, signOut: onSignOut }), [api, live, caller, notify])
  useEffect(() => {
    const end = new AbortController()
    void followService(api, live, { now, sleep, every, isSeen, onSight }, end.signal)
    return () => end.abort()
  }, [api, live])
  return (
    <PageContext value={page}>
      <Shell />
      {notices}
    </PageContext>
  )
}

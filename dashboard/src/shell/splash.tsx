import { useEffect, useState } from 'preact/hooks'
import { sleep } from '../time/clock.ts'
import { ErrorNote } from '../ui/notes.tsx'
import { Mark } from './mark.tsx'

interface SplashProps {
  readonly why?: string
  readonly onRetry?: () => void
}

const LONG_MS = 8_000

/** While it is not known who asks. */
export function Splash({ why, onRetry }: SplashProps) {
  const isLong = useLongWait(why === undefined)
  return (
    <main class="gate" aria-busy={why === undefined}>
      <div class="gate-box">
        <Mark size={40} />
        <h1>CBTOR</h1>
        {why === undefined && isLong && (
          <p role="status">
            The service has not answered yet. It may be busy; or this browser has used up its connections to it, of
            which it makes six: close tabs or windows with this page.
          </p>
        )}
        {why !== undefined && <ErrorNote error={why} {...(onRetry && { onRetry })} />}
      </div>
    </main>
  )
}

/** Whether there was no answer for longer than people wait without a word. */
function useLongWait(isWaiting: boolean): boolean {
  const [isLong, setLong] = useState(false)
  useEffect(() => {
    setLong(false)
    if (!isWaiting) return
    const end = new AbortController()
    void sleep(LONG_MS, end.signal).then(() => end.signal.aborted || setLong(true))
    return () => end.abort()
  }, [isWaiting])
  return isLong
}

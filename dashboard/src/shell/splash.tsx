import { ErrorNote } from '../ui/notes.tsx'
import { Mark } from './mark.tsx'

interface SplashProps {
  readonly why?: string
  readonly onRetry?: () => void
}

/** While it is not known who asks. */
export function Splash({ why, onRetry }: SplashProps) {
  return (
    <main class="gate" aria-busy={why === undefined}>
      <div class="gate-box">
        <Mark size={40} />
        <h1>CBTOR</h1>
        {why !== undefined && <ErrorNote error={why} {...(onRetry && { onRetry })} />}
      </div>
    </main>
  )
}

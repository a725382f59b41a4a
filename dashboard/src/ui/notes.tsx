import type { ComponentChildren } from 'preact'
import { textOf } from '../api/client.ts'
import { Icon, type IconName } from './icon.tsx'

interface EmptyStateProps {
  readonly icon: IconName
  readonly title: string
  /** What would be here, and how it comes to be. */
  readonly children?: ComponentChildren
}

/** Instead of a list that has nothing in it. */
export function EmptyState({ icon, title, children }: EmptyStateProps) {
  return (
    <div class="empty">
      <Icon name={icon} size={24} />
      <p class="empty-title">{title}</p>
      {children !== undefined && <p>{children}</p>}
    </div>
  )
}

interface ErrorNoteProps {
  readonly error: unknown
  readonly onRetry?: () => void
}

/** What could not be done, in the error's own sentence. */
export function ErrorNote({ error, onRetry }: ErrorNoteProps) {
  return (
    <div class="note tone-bad" role="alert">
      <Icon name="bad" />
      <p>{textOf(error)}</p>
      {onRetry && (
        <button type="button" class="button button-normal" onClick={onRetry}>
          <span>Try again</span>
        </button>
      )}
    </div>
  )
}

/** Holds the room of what is still to come, so that nothing moves when it does. */
export function Skeleton({ lines = 3 }: { readonly lines?: number }) {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, line) => (
        <span key={line} />
      ))}
    </div>
  )
}

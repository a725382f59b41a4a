import { useEffect, useRef } from 'preact/hooks'
import type { LiveWorkerBody } from '../api/bodies.ts'
import { linkTo } from '../routing/route.ts'
import { Icon } from '../ui/icon.tsx'
import { EmptyState } from '../ui/notes.tsx'
import { WorkerCard } from './worker-card.tsx'

interface WorkerDrawerProps {
  readonly id: string
  /** Undefined when there is none of that id. */
  readonly worker: LiveWorkerBody | undefined
}

/**
 * One worker beside the others, which can be gone to meanwhile. It is in the address, so that it can be linked to and "back" closes
 * it.
 */
export function WorkerDrawer({ id, worker }: WorkerDrawerProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const close = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    dialog.current?.show()
    close.current?.focus()
  }, [])
  /** Not every browser knows `closedby`. An Escape in a question that is asked here is none for the drawer. */
  function closeByEscape({ key, target }: KeyboardEvent) {
    const isHere = target instanceof Element && target.closest('dialog') === dialog.current
    if (key === 'Escape' && isHere) dialog.current?.close()
  }

  return (
    <dialog
      ref={dialog}
      class="drawer"
      closedby="closerequest"
      onKeyDown={closeByEscape}
      aria-label={`Worker ${id}`}
      onClose={() => {
        location.hash = linkTo('workers')
      }}
    >
      <div class="drawer-body">
        <button
          ref={close}
          type="button"
          class="button button-plain button-icon drawer-close"
          aria-label="Close"
          onClick={() => dialog.current?.close()}
        >
          <Icon name="close" />
        </button>
        {worker ? (
          <WorkerCard worker={worker} isWhole />
        ) : (
          <EmptyState icon="workers" title={`There is no worker ${id}`}>
            It may have been removed from the configuration.
          </EmptyState>
        )}
      </div>
    </dialog>
  )
}

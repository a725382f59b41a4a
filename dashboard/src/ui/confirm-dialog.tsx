import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'

interface ConfirmDialogProps {
  readonly title: string
  readonly text: ComponentChildren
  readonly action: string
  readonly isDanger: boolean
  readonly onConfirm: () => void
  readonly onCancel: () => void
}

const YES = 'yes'

/** A question in the browser's own modal dialog, which keeps the focus and, as it is closed and not just removed, gives it back. Escape is no. */
export function ConfirmDialog({ title, text, action, isDanger, onConfirm, onCancel }: ConfirmDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const titleId = useId()
  const textId = useId()
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby={titleId}
      aria-describedby={textId}
      onClose={({ currentTarget }) => (currentTarget.returnValue === YES ? onConfirm() : onCancel())}
    >
      <h2 id={titleId}>{title}</h2>
      <div id={textId} class="dialog-text">
        {text}
      </div>
      <div class="dialog-actions">
        <button type="button" class="button button-normal" onClick={() => dialog.current?.close()}>
          <span>Cancel</span>
        </button>
        <button
          type="button"
          class={`button button-${isDanger ? 'danger' : 'primary'}`}
          onClick={() => dialog.current?.close(YES)}
        >
          <span>{action}</span>
        </button>
      </div>
    </dialog>
  )
}

import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'

interface PanelProps {
  readonly title: string
  /** Small, beside the title: how many, of when. */
  readonly note?: ComponentChildren
  /** At the end of the title's line. */
  readonly actions?: ComponentChildren
  /** No room around the content: for a table that goes from edge to edge. */
  readonly flush?: boolean
  readonly children: ComponentChildren
}

/** A part of the page with a title: a region that screen readers can go to. */
export function Panel({ title, note, actions, flush = false, children }: PanelProps) {
  const id = useId()
  return (
    <section class={flush ? 'panel panel-flush' : 'panel'} aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        {note !== undefined && <span class="panel-note">{note}</span>}
        {actions !== undefined && <div class="panel-actions">{actions}</div>}
      </header>
      <div class="panel-body">{children}</div>
    </section>
  )
}

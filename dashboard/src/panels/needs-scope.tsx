import type { ComponentChildren } from 'preact'
import type { Scope } from '../api/bodies.ts'
import { useReasonAgainst } from '../context.ts'
import { EmptyState } from '../ui/notes.tsx'
import { Panel } from '../ui/panel.tsx'

interface NeedsScopeProps {
  readonly scope: Scope
  readonly title: string
  /** What would be seen with it. */
  readonly shows: string
  readonly children: ComponentChildren
}

/** A section for those whose key is good for it; the others are told what they lack, and nothing is asked for in vain. */
export function NeedsScope({ scope, title, shows, children }: NeedsScopeProps) {
  const reason = useReasonAgainst(scope)
  if (reason === undefined) return <>{children}</>
  return (
    <Panel title={title}>
      <EmptyState icon="key" title={`${reason}.`}>
        {shows} A key with that scope is made by <code>cbtor keys create NAME --scope {scope}</code>.
      </EmptyState>
    </Panel>
  )
}

import type { ComponentChildren } from 'preact'
import { Icon, type IconName } from './icon.tsx'

export type Tone = 'ok' | 'warn' | 'bad' | 'info' | 'idle'

interface BadgeProps {
  readonly tone: Tone
  readonly icon?: IconName
  /** More, for who points at it. */
  readonly title?: string | undefined
  readonly children: ComponentChildren
}

/** A word or two with a colour, never the colour alone. */
export function Badge({ tone, icon, title, children }: BadgeProps) {
  return (
    <span class={`badge tone-${tone}`} title={title}>
      {icon && <Icon name={icon} size={14} />}
      {children}
    </span>
  )
}

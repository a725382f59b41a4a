import type { ComponentType } from 'preact'
import { Overview } from './overview/overview.tsx'
import type { IconName } from './ui/icon.tsx'
import { Workers } from './workers/workers.tsx'

export interface Section {
  /** In the address: `#/workers`. */
  readonly id: string
  readonly title: string
  readonly icon: IconName
  /** `rest`: what follows in the address: `['tor02']` of `#/workers/tor02`. */
  readonly component: ComponentType<{ readonly rest: readonly string[] }>
}

/** In the order of the navigation; the first is where one arrives. */
export const SECTIONS: readonly Section[] = [
  { id: 'overview', title: 'Overview', icon: 'overview', component: Overview },
  { id: 'workers', title: 'Workers', icon: 'workers', component: Workers },
]

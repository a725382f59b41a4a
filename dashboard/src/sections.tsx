import type { ComponentType } from 'preact'
import { Overview } from './overview/overview.tsx'
import { Checks } from './panels/checks.tsx'
import { Events } from './panels/events.tsx'
import { Jobs } from './panels/jobs.tsx'
import { Requests } from './panels/requests.tsx'
import { Sessions } from './panels/sessions.tsx'
import { TryIt } from './panels/try-it/try-it.tsx'
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
  { id: 'sessions', title: 'Sessions', icon: 'sessions', component: Sessions },
  { id: 'jobs', title: 'Jobs', icon: 'jobs', component: Jobs },
  { id: 'requests', title: 'Requests', icon: 'requests', component: Requests },
  { id: 'checks', title: 'Checks', icon: 'checks', component: Checks },
  { id: 'events', title: 'Events', icon: 'events', component: Events },
  { id: 'try', title: 'Try it', icon: 'try', component: TryIt },
]

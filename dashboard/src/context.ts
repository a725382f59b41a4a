import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import type { Scope, WhoamiBody } from './api/bodies.ts'
import type { Api } from './api/client.ts'
import type { LiveInput, LiveState } from './live/live-state.ts'
import { type Store, useStore } from './store.ts'

/** What every part of the page may use. */
export interface Page {
  readonly api: Api
  readonly live: Store<LiveState, LiveInput>
  readonly caller: WhoamiBody
  /** Says something in a corner, which screen readers read out. An error stays until it is put away. */
  notify(notice: Notice): void
  /** Forgets the key and asks for another. */
  signOut(): void
}

export interface Notice {
  readonly tone: 'ok' | 'error'
  readonly text: string
}

export const PageContext = createContext<Page | undefined>(undefined)

export function usePage(): Page {
  const page = useContext(PageContext)
  if (page === undefined) throw new Error('Cannot use the page outside of it')
  return page
}

/** A part of what is known of the service; see `useStore`. */
export function useLive<Part>(select: (state: LiveState) => Part): Part {
  return useStore(usePage().live as Store<LiveState, never>, select)
}

/** Undefined when the key is good for what takes this scope, else why it is not: for `Button`'s `disabledBecause`. */
export function useReasonAgainst(scope: Scope): string | undefined {
  const { caller } = usePage()
  if (caller.scopes.includes(scope) || caller.scopes.includes('admin')) return undefined
  return `Your key (${caller.name}) lacks the scope ${scope}`
}

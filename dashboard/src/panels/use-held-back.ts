import { useEffect, useRef, useState } from 'preact/hooks'
import type { EventBody } from '../api/bodies.ts'

/** From so many pixels on, who reads has left the newest events behind. */
const FURTHER_DOWN = 200

export interface HeldBack {
  readonly shown: readonly EventBody[]
  /** How many newer ones there are. */
  readonly heldBack: number
  /** Shows them, at the top. */
  show(): void
  /** To be told of each row that is opened or closed. */
  onRow(isOpen: boolean): void
}

/** Keeps a list, newest first, as it is while somebody reads in it: what comes meanwhile would push it away under their eyes. */
export function useHeldBack(events: readonly EventBody[]): HeldBack {
  /** The newest event when the reading began. */
  const [until, setUntil] = useState<number>()
  const newest = useRef(0)
  newest.current = events[0]?.id ?? 0

  const hold = () => setUntil((before) => before ?? newest.current)
  useEffect(() => {
    const follow = () => {
      if (window.scrollY > FURTHER_DOWN) hold()
      else if (!isOneOpen()) setUntil(undefined)
    }
    window.addEventListener('scroll', follow, { passive: true })
    return () => window.removeEventListener('scroll', follow)
  }, [])

  const shown = until === undefined ? events : events.filter(({ id }) => id <= until)
  return {
    shown,
    heldBack: events.length - shown.length,
    show() {
      setUntil(undefined)
      window.scrollTo(0, 0)
    },
    onRow(isOpen) {
      if (isOpen) hold()
      else if (!isOneOpen() && window.scrollY <= FURTHER_DOWN) setUntil(undefined)
    },
  }
}

/** Asked of the list itself: rows that are open may leave it, and tell nobody. */
function isOneOpen(): boolean {
  return document.querySelector('.events details[open]') !== null
}

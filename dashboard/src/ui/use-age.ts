import { useLive } from '../context.ts'
import { useNow } from '../time/use-now.ts'

/** A short break is over before anybody has read of it. */
const OLD_AFTER_MS = 3_000

/** How old what is shown is, in milliseconds; undefined while it is so now. */
export function useAge(): number | undefined {
  const now = useNow()
  const isLive = useLive((state) => state.link.status === 'live')
  const heardAt = useLive((state) => (state.link.status === 'live' ? undefined : state.heardAt))
  if (isLive || heardAt === undefined || now - heardAt < OLD_AFTER_MS) return undefined
  return now - heardAt
}

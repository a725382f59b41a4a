import { useEffect, useState } from 'preact/hooks'
import { every, now } from './clock.ts'

const tickers = new Set<() => void>()
let stop: (() => void) | undefined

/** The time, anew each second, of all that show it at once. Nothing ticks while the page is not seen. */
export function useNow(): number {
  const [time, setTime] = useState(now)
  useEffect(() => {
    const tick = () => setTime(now())
    tickers.add(tick)
    stop ??= every(1_000, () => {
      if (!document.hidden) for (const each of tickers) each()
    })
    return () => {
      tickers.delete(tick)
      if (tickers.size > 0) return
      stop?.()
      stop = undefined
    }
  }, [])
  return time
}

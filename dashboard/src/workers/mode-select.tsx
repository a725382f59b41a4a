import { useState } from 'preact/hooks'
import type { Mode, ModeAnswerBody } from '../api/bodies.ts'
import { textOf } from '../api/client.ts'
import { useLive, usePage, useReasonAgainst } from '../context.ts'

/** What each mode does, in few words; the keys are all there are. */
export const MODE_TEXTS: Readonly<Record<Mode, string>> = {
  round_robin: 'each worker in turn',
  sticky: 'a key keeps its worker',
  random: 'any worker',
  least_connections: 'the worker with the fewest requests',
  failover: 'the first worker that is healthy',
}

const MODES = Object.keys(MODE_TEXTS) as readonly Mode[]

/** How the pool chooses a worker for requests that do not say. */
export function ModeSelect() {
  const { api, notify } = usePage()
  const mode = useLive((state) => state.view?.pool.mode)
  const reason = useReasonAgainst('workers:write')
  const [ordered, setOrdered] = useState<Mode>()

  async function choose(chosen: Mode) {
    setOrdered(chosen)
    try {
      await api.post<ModeAnswerBody>('/api/v1/mode', { mode: chosen })
      notify({ tone: 'ok', text: `The pool chooses by ${chosen} from now on: ${MODE_TEXTS[chosen]}.` })
    } catch (error) {
      notify({ tone: 'error', text: textOf(error) })
    } finally {
      setOrdered(undefined)
    }
  }

  return (
    <label class="mode" title={reason}>
      <span class="muted">Balancing</span>
      <select
        value={ordered ?? mode}
        disabled={reason !== undefined || ordered !== undefined || mode === undefined}
        onChange={(event) => void choose(event.currentTarget.value as Mode)}
      >
        {MODES.map((each) => (
          <option key={each} value={each} title={MODE_TEXTS[each]}>
            {each}
          </option>
        ))}
      </select>
    </label>
  )
}

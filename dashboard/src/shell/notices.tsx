import { useCallback, useEffect, useMemo, useState } from 'preact/hooks'
import type { Notice } from '../context.ts'
import { sleep } from '../time/clock.ts'
import { Icon } from '../ui/icon.tsx'

const SHOWN_MS = 5_000
const MAX_NOTICES = 4

type Shown = Notice & { readonly id: number }

/** Notices in a corner: good news goes by itself, an error stays until it is put away. */
export function useNotices() {
  const [shown, setShown] = useState<{ readonly next: number; readonly list: readonly Shown[] }>({ next: 1, list: [] })
  const notify = useCallback((notice: Notice) => {
    setShown(({ next, list }) => ({ next: next + 1, list: [...list, { ...notice, id: next }].slice(-MAX_NOTICES) }))
  }, [])
  const putAway = useCallback((id: number) => {
    setShown(({ next, list }) => ({ next, list: list.filter((each) => each.id !== id) }))
  }, [])
  const notices = useMemo(
    () => (
      <div class="notices" aria-live="polite">
        {shown.list.map((notice) => (
          <NoticeBox key={notice.id} notice={notice} onPutAway={putAway} />
        ))}
      </div>
    ),
    [shown, putAway],
  )
  return { notify, notices }
}

interface NoticeBoxProps {
  readonly notice: Shown
  readonly onPutAway: (id: number) => void
}

function NoticeBox({ notice: { id, tone, text }, onPutAway }: NoticeBoxProps) {
  useEffect(() => {
    if (tone === 'error') return
    const end = new AbortController()
    void sleep(SHOWN_MS, end.signal).then(() => end.signal.aborted || onPutAway(id))
    return () => end.abort()
  }, [id, tone, onPutAway])
  return (
    <div class={`notice tone-${tone === 'ok' ? 'ok' : 'bad'}`} role={tone === 'error' ? 'alert' : 'status'}>
      <Icon name={tone === 'ok' ? 'ok' : 'bad'} />
      <p>{text}</p>
      <button type="button" class="button button-plain button-icon" aria-label="Put away" onClick={() => onPutAway(id)}>
        <Icon name="close" />
      </button>
    </div>
  )
}

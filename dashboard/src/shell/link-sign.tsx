import { useLive } from '../context.ts'
import { useNow } from '../time/use-now.ts'
import { Icon } from '../ui/icon.tsx'
import { roughDuration } from '../ui/text.ts'

/** Whether what is shown is so now. */
export function LinkSign() {
  const link = useLive((state) => state.link)
  const heardAt = useLive((state) => (state.link.status === 'live' ? undefined : state.heardAt))
  const now = useNow()
  const old = heardAt === undefined ? '' : ` What is shown is ${roughDuration(now - heardAt)} old.`
  switch (link.status) {
    case 'connecting':
      return <Sign tone="idle" text="Connecting" />
    case 'live':
      return <Sign tone="ok" text="Live" title="Each change is shown as it happens" />
    case 'stale':
      return (
        <Sign tone="warn" text={`Stale for ${roughDuration(now - link.since)}`} title={`Nothing is heard.${old}`} />
      )
    case 'reconnecting':
      return (
        <Sign tone="warn" text={`Reconnecting for ${roughDuration(now - link.since)}`} title={`${link.reason}${old}`} />
      )
    case 'refused':
      return <Sign tone="bad" text="Not live" title={link.reason} />
  }
}

interface SignProps {
  readonly tone: 'ok' | 'warn' | 'bad' | 'idle'
  readonly text: string
  readonly title?: string
}

function Sign({ tone, text, title }: SignProps) {
  return (
    <span class={`link-sign tone-${tone}`} title={title} data-link={tone}>
      {tone === 'ok' ? (
        <span class="link-dot" aria-hidden="true" />
      ) : (
        <Icon name={tone === 'idle' ? 'starting' : 'warn'} />
      )}
      <span class="number">{text}</span>
    </span>
  )
}

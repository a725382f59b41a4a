import type { LiveView } from '../live/live-state.ts'
import { linkTo } from '../routing/route.ts'
import type { Tone } from '../ui/badge.tsx'
import { Icon, type IconName } from '../ui/icon.tsx'
import { EmptyState } from '../ui/notes.tsx'
import { Panel } from '../ui/panel.tsx'
import { inWords } from '../ui/text.ts'
import { Since } from '../ui/time.tsx'

type Problem = LiveView['problems'][number]

export const SEVERITY_LOOKS: Readonly<Record<Problem['severity'], { readonly tone: Tone; readonly icon: IconName }>> = {
  error: { tone: 'bad', icon: 'bad' },
  warn: { tone: 'warn', icon: 'warn' },
  info: { tone: 'info', icon: 'info' },
}

/** What is wrong at present, with its text and since when. */
export function Problems({ problems }: { readonly problems: readonly Problem[] }) {
  return (
    <Panel title="Problems" note={problems.length > 0 && problems.length} flush>
      {problems.length === 0 ? (
        <EmptyState icon="ok" title="No problems" />
      ) : (
        <ul class="problems">
          {problems.map(({ code, severity, text, since, worker }) => (
            <li key={`${code} ${worker}`}>
              <span class={`outcome tone-${SEVERITY_LOOKS[severity].tone}`}>
                <Icon name={SEVERITY_LOOKS[severity].icon} label={severity} />
              </span>
              <div>
                <p>{text}</p>
                <p class="muted">
                  {inWords(code)}
                  {worker !== null && (
                    <>
                      {' · '}
                      <a href={linkTo('workers', worker)}>{worker}</a>
                    </>
                  )}
                  {' · for '}
                  <Since at={since} />
                </p>
              </div>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  )
}

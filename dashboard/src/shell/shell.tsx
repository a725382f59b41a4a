import { useEffect, useRef } from 'preact/hooks'
import { useLive, usePage } from '../context.ts'
import { linkTo, useRoute } from '../routing/route.ts'
import { SECTIONS } from '../sections.tsx'
import { clockTime } from '../time/clock.ts'
import { Icon } from '../ui/icon.tsx'
import { useAge } from '../ui/use-age.ts'
import { LinkSign } from './link-sign.tsx'
import { Mark } from './mark.tsx'
import { NewVersion } from './new-version.tsx'
import { ThemeToggle } from './theme-toggle.tsx'

/** The frame of the page: navigation, whether it is live, and the section that the address names. */
export function Shell() {
  const { caller, signOut } = usePage()
  const { section: id, rest } = useRoute()
  const section = SECTIONS.find((each) => each.id === id) ?? SECTIONS[0]
  const main = useRef<HTMLElement>(null)
  const isFirst = useRef(true)
  const title = section?.title ?? ''
  const until = caller.expires_at === null ? '' : `, good until ${clockTime(caller.expires_at)}`

  // Who goes to a section by keyboard or screen reader begins at its start.
  // Another section is what moves the focus.
  useEffect(() => {
    if (!isFirst.current) main.current?.focus({ preventScroll: true })
    isFirst.current = false
    window.scrollTo(0, 0)
  }, [section])
  const isOld = useAge() !== undefined
  useTitle(title, isOld)
  const nav = useRef<HTMLElement>(null)
  // At phone width the navigation scrolls, and where one is may be out of sight.
  useEffect(
    () => nav.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' }),
    [section],
  )

  if (section === undefined) return null
  const Content = section.component
  return (
    <div class="shell">
      <button type="button" class="skip button button-primary" onClick={() => main.current?.focus()}>
        <span>Skip to content</span>
      </button>
      <header class="bar">
        <a class="brand" href={linkTo('overview')} aria-label="CBTOR, overview">
          <Mark />
          <span>CBTOR</span>
        </a>
        <div class="bar-end">
          <LinkSign />
          <a class="button button-plain button-icon" href="/manual" title="The manual" aria-label="The manual">
            <Icon name="book" />
          </a>
          <ThemeToggle />
          {caller.auth === 'on' && (
            <button
              type="button"
              class="button button-plain button-icon"
              title={`Forget the key ${caller.name}${until}`}
              aria-label={`Forget the key ${caller.name}${until}`}
              onClick={signOut}
            >
              <Icon name="out" />
            </button>
          )}
        </div>
      </header>
      <nav ref={nav} class="nav" aria-label="Sections">
        <ul>
          {SECTIONS.map(({ id, title, icon }) => (
            <li key={id}>
              <a href={linkTo(id)} aria-current={id === section.id ? 'page' : undefined}>
                <Icon name={icon} />
                <span>{title}</span>
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <main id="main" ref={main} class="main" tabIndex={-1} data-old={isOld}>
        <h1 class="for-readers">{title}</h1>
        <NewVersion />
        <Content rest={rest} />
      </main>
    </div>
  )
}

const SIGNS = { ok: '', degraded: '! degraded · ', down: '✕ down · ' } as const

/** A tab in the background tells by its title whether all is well. */
function useTitle(section: string, isOld: boolean): void {
  const state = useLive((live) => live.view?.pool.state)
  const sign = isOld ? '? not heard · ' : state === undefined ? '' : SIGNS[state]
  useEffect(() => {
    document.title = `${sign}${section} · CBTOR`
  }, [sign, section])
}

import { useState } from 'preact/hooks'
import { Icon, type IconName } from '../ui/icon.tsx'
import { keepTheme, storedTheme, type Theme, themeAfter } from './theme.ts'

const ICONS: Readonly<Record<Theme, IconName>> = { system: 'system', light: 'sun', dark: 'moon' }

/** Goes from the system's colours to light to dark. */
export function ThemeToggle() {
  const [theme, setTheme] = useState(storedTheme)
  const next = themeAfter(theme)
  function change() {
    keepTheme(next)
    setTheme(next)
  }
  return (
    <button
      type="button"
      class="button button-plain button-icon"
      aria-label={`Colours: ${theme}. Change to ${next}`}
      title={`Colours: ${theme}`}
      onClick={change}
    >
      <Icon name={ICONS[theme]} />
    </button>
  )
}

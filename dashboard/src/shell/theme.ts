import { keep, recall } from '../storage.ts'

/** `system`: as the browser is set. */
export const THEMES = ['system', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]

/** The one thing that outlasts the tab: it says nothing of the service. */
const PLACE = 'cbtor-theme'

export function storedTheme(): Theme {
  const stored = recall('localStorage', PLACE)
  return THEMES.find((theme) => theme === stored) ?? 'system'
}

export function keepTheme(theme: Theme): void {
  keep('localStorage', PLACE, theme)
  applyTheme(theme)
}

export function applyTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}

export function themeAfter(theme: Theme): Theme {
  return THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'system'
}

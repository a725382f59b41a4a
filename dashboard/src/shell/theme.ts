/** `system`: as the browser is set. */
export const THEMES = ['system', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]

/** The one thing that outlasts the tab: it says nothing of the service. */
const PLACE = 'cbtor-theme'

export function storedTheme(): Theme {
  const stored = localStorage.getItem(PLACE)
  return THEMES.find((theme) => theme === stored) ?? 'system'
}

export function keepTheme(theme: Theme): void {
  localStorage.setItem(PLACE, theme)
  applyTheme(theme)
}

export function applyTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}

export function themeAfter(theme: Theme): Theme {
  return THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'system'
}

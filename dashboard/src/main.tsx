import './styles/tokens.css'
import './styles/base.css'
import './styles/shell.css'
import './styles/ui.css'
import './styles/overview.css'
import './styles/workers.css'
import './styles/panels.css'
import './styles/try-it.css'
import { render } from 'preact'
import { App } from './app.tsx'
import { takeKeyFromAddress } from './key.ts'
import { applyTheme, storedTheme } from './shell/theme.ts'

takeKeyFromAddress(location, history)
applyTheme(storedTheme())
const root = document.getElementById('app')
if (root !== null) render(<App />, root)

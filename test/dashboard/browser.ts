import { existsSync } from 'node:fs'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

/** Debian's; where there is none, the one that playwright has brought. */
const EXECUTABLE = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path))

/** A page, and what it did that nobody should see it do. */
export interface WatchedPage {
  readonly page: Page
  /** Errors of scripts and of the console, violations of the content security policy among them. */
  readonly complaints: readonly string[]
  /** The origins that it asked for anything, each once. */
  readonly origins: ReadonlySet<string>
}

export interface TestBrowser extends AsyncDisposable {
  readonly browser: Browser
  /** In a context of its own: nothing is shared with another page. */
  open(options?: BrowserContextOptions): Promise<WatchedPage>
}

export async function launchBrowser(): Promise<TestBrowser> {
  const browser = await chromium.launch({
    chromiumSandbox: false,
    args: ['--enable-precise-memory-info', '--disable-dev-shm-usage'],
    ...(EXECUTABLE && { executablePath: EXECUTABLE }),
  })
  return {
    browser,
    async open(options = {}) {
      const context = await browser.newContext({ viewport: { width: 1_280, height: 900 }, ...options })
      const page = await context.newPage()
      page.setDefaultTimeout(20_000)
      const complaints: string[] = []
      const origins = new Set<string>()
      page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())))
      page.on('pageerror', (error) => void complaints.push(String(error)))
      page.on('request', (request) => {
        const { protocol, origin } = new URL(request.url())
        if (protocol !== 'blob:' && protocol !== 'data:') origins.add(origin)
      })
      return { page, complaints, origins }
    },
    [Symbol.asyncDispose]: () => browser.close(),
  }
}

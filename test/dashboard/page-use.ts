/** What tests of the page do with it again and again. */
import type { Page } from 'playwright-core'

/** By their names in the address. */
export const SECTIONS = ['overview', 'workers', 'sessions', 'jobs', 'requests', 'checks', 'events', 'try'] as const

/** Opens the page with a key and resolves once it shows the service as it is. */
export async function enter(page: Page, url: string, key: string, section = 'overview'): Promise<void> {
  await page.goto(`${url}/#key=${key}`)
  await isLive(page)
  await go(page, section)
}

export async function isLive(page: Page, withinMs = 20_000): Promise<void> {
  await page.locator('[data-link="ok"]').waitFor({ timeout: withinMs })
}

/** Goes where a link would lead, without loading the page anew. */
export async function go(page: Page, place: string): Promise<void> {
  await page.evaluate((hash) => {
    location.hash = hash
  }, `#/${place}`)
  await (await page.waitForFunction(() => document.querySelector('main .skeleton') === null)).dispose()
  // Not waitForSelector(): the handle that it makes would keep the element, and with it the section, for ever.
  await page.locator('main :is(.panel, [data-worker])').first().waitFor()
}

/** The sum of the layout shifts that nobody caused by a click; to be called before the page is opened. */
export async function watchShifts(page: Page): Promise<() => Promise<{ sum: number; of: string[] }>> {
  await page.addInitScript(() => {
    const shifts: { value: number; of: string[] }[] = []
    Object.assign(window, { shifts })
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & {
        value: number
        hadRecentInput: boolean
        sources: { node?: Node }[]
      })[]) {
        if (entry.hadRecentInput) continue
        const nameOf = ({ node }: { node?: Node }) =>
          (node instanceof Element ? node.outerHTML : node?.textContent) ?? ''
        shifts.push({ value: entry.value, of: entry.sources.map((source) => nameOf(source).slice(0, 120)) })
      }
    }).observe({ type: 'layout-shift', buffered: true })
  })
  return async () => {
    const shifts = await page.evaluate(
      () => (window as unknown as { shifts: { value: number; of: string[] }[] }).shifts,
    )
    return { sum: shifts.reduce((sum, { value }) => sum + value, 0), of: shifts.flatMap(({ of }) => of) }
  }
}

/**
 * Resolves with how many milliseconds pass from `cause` until the page shows `text`: by the wall clock, which the two processes
 * share.
 */
export async function timeUntilShown(page: Page, text: string, cause: () => unknown): Promise<number> {
  const shown = page.evaluate(
    (wanted) =>
      new Promise<number>((resolve, reject) => {
        setTimeout(() => reject(new Error(`"${wanted}" is not shown within 20 s`)), 20_000)
        const look = () => {
          if (!document.body.innerText.includes(wanted)) return
          observer.disconnect()
          resolve(Date.now())
        }
        const observer = new MutationObserver(look)
        observer.observe(document.body, { subtree: true, childList: true, characterData: true })
      }),
    text,
  )
  // What is to be observed must not happen before the observer is there.
  await page.evaluate(() => 'ready')
  const startedAt = Date.now()
  await cause()
  return (await shown) - startedAt
}

/** Whether anything sticks out sideways. */
export async function overflow(page: Page): Promise<number> {
  return await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
}

/** Resolves once the list of events has one with `text` that is newer than all that it has now; `cause` makes it happen. */
export async function newEventShown(page: Page, text: string, cause: () => Promise<void>): Promise<void> {
  const newest = await page.locator('.event').first().getAttribute('data-event')
  await cause()
  const shown = await page.waitForFunction(
    ([id, wanted]) =>
      [...document.querySelectorAll<HTMLElement>('.event')].some(
        ({ dataset, textContent }) => Number(dataset.event) > Number(id) && textContent.includes(String(wanted)),
      ),
    [newest, text] as const,
    { timeout: 30_000 },
  )
  await shown.dispose()
}

import type { Page } from 'playwright-core'

const REACHABLE = 'a[href], button, input, select, textarea, summary, [tabindex="0"]'

/**
 * What is seen and can be used by a mouse, but not be reached by the Tab key from the top of the page, each with its text. Of a
 * group of radio buttons one is enough, as it is in browsers.
 */
export async function unreachable(page: Page): Promise<readonly string[]> {
  const count = await page.evaluate((selector) => {
    ;(document.activeElement as HTMLElement | null)?.blur()
    window.getSelection()?.removeAllRanges()
    const scope = document.querySelector('dialog[open]') ?? document
    const seen = [...scope.querySelectorAll<HTMLElement>(selector)].filter(
      (element) => element.checkVisibility({ visibilityProperty: true }) && element.tabIndex >= 0,
    )
    for (const element of seen) element.dataset.toReach = ''
    return seen.length
  }, REACHABLE)
  for (let n = 0; n < count + 10; n++) {
    await page.keyboard.press('Tab')
    await page.evaluate(() => {
      delete (document.activeElement as HTMLElement | null)?.dataset.toReach
    })
  }
  return await page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>('[data-to-reach]')].map((element) => {
      delete element.dataset.toReach
      return element.outerHTML.slice(0, 160)
    }),
  )
}

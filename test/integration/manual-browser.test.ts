/** The pages of the manual in a browser: readable by everybody, at each width, in both colour schemes, and with nothing of elsewhere. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, before, describe, it } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { startServer } from '../../src/api/test-server.ts'

const EXECUTABLE = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path))
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
/** One with pictures, one with wide tables, one with commands and marks. */
const SHOWN = ['/manual', '/manual/concepts', '/manual/api', '/manual/operations', '/manual/search?q=exit']

let browser: Browser
let server: Awaited<ReturnType<typeof startServer>>

before(async () => {
  server = await startServer({ auth: 'on' })
  browser = await chromium.launch({ chromiumSandbox: false, ...(EXECUTABLE && { executablePath: EXECUTABLE }) })
})

after(async () => {
  await browser?.close()
  await server?.[Symbol.asyncDispose]()
})

/** A page that keeps what goes wrong, and every address that it asks. */
async function open(width: number, colorScheme: 'light' | 'dark') {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, reducedMotion: 'reduce' })
  const page = await context.newPage()
  const complaints: string[] = []
  const asked: string[] = []
  page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())))
  page.on('request', (request) => void asked.push(request.url()))
  return { page, complaints, asked, [Symbol.asyncDispose]: () => context.close() }
}

async function violationsOf(page: Page): Promise<readonly string[]> {
  await page.evaluate(AXE)
  return await page.evaluate(async () => {
    type Found = {
      readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[]
    }
    const { axe } = globalThis as unknown as { axe: { run(): Promise<Found> } }
    const { violations } = await axe.run()
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
  })
}

describe('the manual in a browser', { timeout: 300_000 }, () => {
  for (const [width, scheme] of [
    [1280, 'light'],
    [1280, 'dark'],
    [390, 'light'],
    [390, 'dark'],
  ] as const)
    it(`is without a fault for axe at ${width} pixels, ${scheme}, is no wider than the window, and asks nobody else`, async () => {
      await using shown = await open(width, scheme)
      const { page, complaints, asked } = shown
      for (const path of SHOWN) {
        await page.goto(`${server.url}${path}`)
        assert.deepEqual(await violationsOf(page), [], path)
        const overhang = await page.evaluate(
          'document.documentElement.scrollWidth - document.documentElement.clientWidth',
        )
        assert.equal(overhang, 0, path)
        const broken = await page.evaluate(
          '[...document.images].filter((image) => image.naturalWidth === 0).map((image) => image.src)',
        )
        assert.deepEqual(broken, [], path)
      }
      assert.deepEqual(complaints, [])
      assert.deepEqual(
        asked.filter((url) => !url.startsWith(`${server.url}/manual`) && !url.startsWith('data:')),
        [],
      )
    })

  it('is gone through by keys alone: search, result, contents of a phone', async () => {
    await using shown = await open(390, 'light')
    const { page } = shown
    await page.goto(`${server.url}/manual/start`)
    await page.focus('input[type=search]')
    await page.keyboard.type('kill switch')
    await page.keyboard.press('Enter')
    await page.waitForURL(/search\?q=kill\+switch/)
    await page.focus('.found a')
    await page.keyboard.press('Enter')
    await page.waitForURL(/tunnels#kill-switch-and-lock/)
    assert.equal(await page.isVisible('#contents'), false)
    await page.focus('.menu')
    await page.keyboard.press('Enter')
    assert.equal(await page.isVisible('#contents'), true)
    await page.keyboard.press('Escape')
    assert.equal(await page.isVisible('#contents'), false)
  })

  it('is all text on paper', async () => {
    await using shown = await open(800, 'light')
    await shown.page.goto(`${server.url}/manual/api`)
    await shown.page.emulateMedia({ media: 'print' })
    assert.deepEqual(
      await Promise.all(['header', '#contents', '.turn', 'article'].map((part) => shown.page.isVisible(part))),
      [false, false, false, true],
    )
  })
})

/**
 * Makes the pictures of docs/images: of a service that is simulated, so that they show no one's targets and are alike each time.
 *
 *   script/screenshots [--seconds 45] [name ...]
 *
 * `--seconds`: so long the service lives before the first picture, for there to be something on its charts.
 */
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Page } from 'playwright-core'
import { launchBrowser } from './browser.ts'
import { enter, go } from './page-use.ts'
import { type Simulation, startSimulation } from './simulated-service.ts'
import { withFewColours } from './small-png.ts'

const FOLDER = 'docs/images'
const MAX_BYTES = 150_000

interface Picture {
  readonly name: string
  readonly workers: 4 | 200
  readonly scheme?: 'dark'
  readonly viewport?: { readonly width: number; readonly height: number }
  readonly isPhone?: true
  readonly show: (page: Page) => Promise<void>
}

const at = (section: string) => (page: Page) => go(page, section)

const PICTURES: readonly Picture[] = [
  { name: 'overview', workers: 4, show: at('overview') },
  { name: 'overview-dark', workers: 4, scheme: 'dark', show: at('overview') },
  { name: 'workers-4', workers: 4, viewport: { width: 1_280, height: 1_080 }, show: at('workers') },
  { name: 'workers-200', workers: 200, show: at('workers') },
  { name: 'overview-200', workers: 200, show: at('overview') },
  { name: 'try-it', workers: 4, show: showTry },
  { name: 'events', workers: 4, show: at('events') },
  { name: 'phone', workers: 4, viewport: { width: 390, height: 844 }, isPhone: true, show: at('overview') },
]

const { positionals: wanted, values } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '45' } },
})
const lifeMs = Number(values.seconds) * 1_000
const chosen = PICTURES.filter(({ name }) => wanted.length === 0 || wanted.includes(name))
mkdirSync(FOLDER, { recursive: true })
await using browser = await launchBrowser()
for (const workers of new Set(chosen.map((picture) => picture.workers))) {
  await using service = await startSimulation({ workers, traffic: workers === 4 ? 6 : 40, bootMs: 2_500 })
  await live(service)
  for (const picture of chosen.filter((each) => each.workers === workers)) await take(picture, service)
}

/** Some traffic, then a worker that is just being brought back, as the pictures are to show. */
async function live(service: Simulation): Promise<void> {
  const [{ workers }] = [await service.api.workers()]
  const ids = workers.map(({ id }) => id)
  await sleep(lifeMs / 3)
  service.worker(ids[2] ?? '').kill('tor was killed by signal SIGKILL')
  await sleep(lifeMs / 3)
  if (ids.length > 4) {
    for (const n of [17, 64, 131]) service.worker(ids[n] ?? '').blackhole(true)
    await service.api.drain(ids[80] ?? '')
    await service.api.drain(ids[81] ?? '')
    await service.api.stopTor(ids[199] ?? '')
  }
  await sleep(lifeMs / 3)
  for (const n of ids.length > 4 ? [44, 150] : [1]) service.worker(ids[n] ?? '').freeze()
}

async function showTry(page: Page): Promise<void> {
  await go(page, 'try')
  await page.getByLabel('URL, clearnet or .onion').fill('http://check.cbtor.test/api/ip')
  await page.getByLabel('Exit country').fill('de')
  await page.getByRole('button', { name: 'Fetch through Tor' }).click()
  await page.getByText('200 OK').waitFor()
  await page.getByText('The same with curl').click()
}

async function take({ name, scheme = 'light', viewport, isPhone, show }: Picture, service: Simulation): Promise<void> {
  const { page } = await browser.open({
    viewport: viewport ?? { width: 1_280, height: 940 },
    colorScheme: scheme,
    reducedMotion: 'reduce',
    locale: 'en-GB',
    ...(isPhone && { isMobile: true, hasTouch: true, deviceScaleFactor: 2 }),
  })
  await enter(page, service.url, service.adminKey)
  await show(page)
  await sleep(2_500)
  await page.mouse.move(0, 0)
  const path = join(FOLDER, `${name}.png`)
  writeFileSync(path, withFewColours(await page.screenshot()))
  const { size } = statSync(path)
  process.stdout.write(`${path}: ${(size / 1_000).toFixed(0)} KB\n`)
  if (size > MAX_BYTES) throw new Error(`The picture ${path} is too large: ${size} bytes`)
  await page.context().close()
}

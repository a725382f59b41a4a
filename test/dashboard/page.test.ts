/** The page at `/` in a browser, of a service that is real but for its workers. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import { violations } from './axe.ts'
import { launchBrowser, type TestBrowser } from './browser.ts'
import { unreachable } from './keyboard.ts'
import { enter, go, isLive, newEventShown, overflow, SECTIONS, timeUntilShown, watchShifts } from './page-use.ts'
import { type Simulation, startSimulation } from './simulated-service.ts'
import { HOSTILE } from './simulated-sites.ts'

const PHONE = { width: 390, height: 800 }
const DESK = { width: 1_280, height: 900 }
const MAX_FIRST_LOAD_BYTES = 150 * 1024

let browser: TestBrowser
before(async () => {
  browser = await launchBrowser()
})
after(() => browser[Symbol.asyncDispose]())

it('takes no more than 150 KB for a first load', (test) => {
  const files = globSync('dashboard/dist/*.gz')
  const bytes = files.reduce((sum, file) => sum + readFileSync(file).length, 0)
  test.diagnostic(`first load: ${(bytes / 1024).toFixed(1)} KB gzip in ${files.length} files`)
  assert.ok(files.length >= 3, 'the page is not built: script/build-page')
  assert.ok(bytes <= MAX_FIRST_LOAD_BYTES)
})

describe('the page of 200 workers', { timeout: 120_000 }, () => {
  let service: Simulation
  before(async () => {
    service = await startSimulation({ workers: 200, traffic: 10, troubleEveryMs: 2_000, bootMs: 300 })
  })
  after(() => service[Symbol.asyncDispose]())

  it('is soon of use, asks nobody else, keeps nothing that outlasts the tab, and stands still', async (test) => {
    const { page, complaints, origins } = await browser.open({ viewport: DESK })
    const shifts = await watchShifts(page)
    const startedAt = performance.now()
    await page.goto(`${service.url}/#key=${service.adminKey}`)
    await isLive(page)
    await page.waitForSelector('main .panel')
    test.diagnostic(`of use after ${(performance.now() - startedAt).toFixed(0)} ms (to reach: 1000)`)
    await sleep(6_000)
    // By a click, as what moves by one is no shift.
    await page.getByRole('navigation').getByRole('link', { name: 'Workers' }).click()
    await page.waitForSelector('[data-worker="tor200"]')
    await sleep(6_000)
    const { sum, of } = await shifts()
    test.diagnostic(`layout shift: ${sum.toFixed(4)}`)
    assert.ok(sum < 0.02, `shifted by ${sum}: ${of.join('\n')}`)
    assert.deepEqual([...origins], [service.url])
    assert.deepEqual(await page.context().cookies(), [])
    assert.deepEqual(complaints, [])
    assert.equal(page.url(), `${service.url}/#/workers`)
    const kept = await page.evaluate(() => JSON.stringify({ ...localStorage }) + document.cookie)
    assert.doesNotMatch(kept, /cbt_/)
    await page.context().close()
  })

  for (const viewport of [PHONE, DESK]) {
    it(`is readable at ${viewport.width} pixels, and finds one worker among them`, async () => {
      const { page, complaints, origins } = await browser.open({ viewport })
      await enter(page, service.url, service.adminKey)
      for (const section of SECTIONS) {
        await go(page, section)
        assert.ok((await overflow(page)) <= 0, `${section} is wider than the screen`)
      }
      await go(page, 'workers')
      assert.equal(await page.locator('main [data-worker]').count(), 200)
      await page.getByRole('searchbox', { name: 'Search workers' }).fill('tor150')
      await page.waitForFunction(() => document.querySelectorAll('main [data-worker]').length === 1)
      await page.click('[data-worker="tor150"]')
      const drawer = page.getByRole('dialog', { name: 'Worker tor150' })
      await drawer.locator('.card-circuits .country').first().waitFor()
      assert.ok((await overflow(page)) <= 0)
      assert.deepEqual([complaints, [...origins]], [[], [service.url]])
      await page.context().close()
    })
  }

  it('tells axe-core nothing to complain of', async () => {
    const { page } = await browser.open({ viewport: DESK, bypassCSP: true, reducedMotion: 'reduce' })
    await enter(page, service.url, service.adminKey, 'workers')
    assert.deepEqual(await violations(page), [])
    await page.context().close()
  })
})

describe('the page of four workers', { timeout: 150_000 }, () => {
  let service: Simulation
  before(async () => {
    service = await startSimulation({ workers: 4, traffic: 5, bootMs: 600 })
    await service.api.submitJob({
      name: `pages ${HOSTILE}`,
      fetches: [{ url: 'http://hostile.cbtor.test/' }, { url: 'http://nowhere.cbtor.test/' }],
      retry: { retries: { descriptor: 0, circuit: 0, http: 0 } },
    })
    await service.api.submitJob({ name: 'slow pages', fetches: [{ url: 'http://slow.cbtor.test/' }] })
  })
  after(() => service[Symbol.asyncDispose]())

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`tells axe-core nothing to complain of, ${colorScheme}`, async () => {
      const { page } = await browser.open({ viewport: DESK, bypassCSP: true, colorScheme, reducedMotion: 'reduce' })
      await page.goto(service.url)
      await page.waitForSelector('.gate input')
      assert.deepEqual(await violations(page), [], 'the form for a key')
      await enter(page, service.url, service.adminKey)
      for (const section of SECTIONS) {
        await go(page, section)
        await openAll(page)
        assert.deepEqual(await violations(page), [], section)
      }
      await tryIt(page, 'http://www.cbtor.test/')
      await page.getByRole('heading', { name: 'Receipt' }).waitFor()
      assert.deepEqual(await violations(page), [], 'an answer')
      await tryIt(page, 'http://nowhere.cbtor.test/')
      await page.getByText('fault:').waitFor()
      assert.deepEqual(await violations(page), [], 'a failure')
      await go(page, 'workers/tor01')
      await page.getByRole('dialog').getByRole('button', { name: 'Restart: tor01' }).click()
      await page.getByRole('dialog', { name: /Restart/ }).waitFor()
      assert.deepEqual(await violations(page), [], 'a question')
      await page.context().close()
    })
  }

  it('can be used by keyboard alone', async () => {
    const { page } = await browser.open({ viewport: DESK })
    await enter(page, service.url, service.adminKey)
    for (const section of SECTIONS) {
      await go(page, section)
      assert.deepEqual(await unreachable(page), [], section)
    }
    await go(page, 'workers')
    const stop = page.locator('[data-worker="tor02"]').getByRole('button', { name: 'Stop: tor02' })
    await stop.focus()
    await page.keyboard.press('Enter')
    const question = page.getByRole('dialog', { name: 'Stop Tor of tor02?' })
    await question.waitFor()
    assert.deepEqual(await unreachable(page), [], 'the question')
    await page.keyboard.press('Escape')
    await question.waitFor({ state: 'detached' })
    assert.ok(await stop.evaluate((button) => button === document.activeElement), 'the focus has not come back')
    assert.equal((await service.api.worker('tor02')).desired, 'enabled')

    await stop.press('Enter')
    await page.getByRole('dialog').getByRole('button', { name: 'Stop', exact: true }).press('Enter')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await page
      .locator('[data-worker="tor02"]')
      .getByRole('button', { name: 'Start: tor02', exact: true })
      .press('Enter')
    await page.getByText('tor02 is up.').waitFor()
    await page.context().close()
  })

  it('shows texts of others as texts', async () => {
    const { page, complaints } = await browser.open({ viewport: DESK })
    await enter(page, service.url, service.adminKey, 'events')
    service.worker('tor03').kill(HOSTILE)
    await page.getByText(`tor03 takes no requests: ${HOSTILE}`).first().waitFor()
    await go(page, 'overview')
    await go(page, 'workers')
    await go(page, 'jobs')
    await page.getByRole('link', { name: `pages ${HOSTILE}` }).click()
    await page.getByText('http://hostile.cbtor.test/').click()
    await page.locator('pre', { hasText: HOSTILE }).waitFor()
    await go(page, 'try')
    await tryIt(page, 'http://hostile.cbtor.test/')
    await page.locator('pre', { hasText: HOSTILE }).waitFor()
    await page.getByText('Headers (').click()
    await page.locator('dd', { hasText: HOSTILE }).waitFor()
    assert.equal(await page.evaluate(() => 'hacked' in window), false)
    assert.equal(await page.locator('img').count(), 0)
    assert.deepEqual(complaints, [])
    const download = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Download as file' }).click()
    assert.equal((await download).suggestedFilename(), 'hostile.cbtor.test')
    await page.context().close()
  })

  it('tells who may not do something why, and does not do it', async () => {
    const { page } = await browser.open({ viewport: DESK })
    const posts: string[] = []
    page.on('request', (request) => request.method() !== 'GET' && posts.push(request.url()))
    await enter(page, service.url, await service.key('a reader', ['workers:read']), 'workers')
    const drain = page.locator('[data-worker="tor01"]').getByRole('button', { name: /^Drain/ })
    assert.equal(await drain.getAttribute('aria-disabled'), 'true')
    assert.equal(await drain.getAttribute('title'), 'Your key (a reader) lacks the scope workers:write')
    await drain.click({ force: true })
    await go(page, 'requests')
    await page.getByLabel('Show targets').click({ force: true })
    assert.equal(await page.getByLabel('Show targets').isChecked(), false)
    for (const [section, scope] of [
      ['sessions', 'sessions'],
      ['jobs', 'fetch'],
      ['try', 'fetch'],
    ] as const) {
      await go(page, section)
      await page.getByText(`lacks the scope ${scope}`).waitFor()
    }
    assert.deepEqual(posts, [])
    await page.context().close()
  })

  it('says so when nobody answers', async () => {
    const { page } = await browser.open({ viewport: PHONE })
    await page.clock.install()
    await page.route('**/whoami', () => {})
    await page.goto(service.url)
    await page.locator('[aria-busy="true"]').waitFor()
    await page.clock.runFor(10_000)
    await page.getByText('The service has not answered yet').waitFor()
    await page.context().close()
  })

  it('says in a sentence what is wrong with a key, and takes a good one', async () => {
    const { page } = await browser.open({ viewport: PHONE })
    await page.goto(`${service.url}/#key=cbt_7Kq2mXw0_…`)
    await page.getByText('Enter a key to see this gateway').waitFor()
    const field = page.getByLabel('Key', { exact: true })
    await field.fill('hello')
    await field.press('Enter')
    await page.getByText('This is no key of CBTOR').waitFor()
    await field.fill('cbt_abcdefgh_abcdefghijklmnopqrstuvwxyz')
    await field.press('Enter')
    await page.getByRole('alert').filter({ hasNotText: 'This is no key of CBTOR' }).waitFor()
    assert.match(await page.getByRole('alert').innerText(), /key/)
    await page.getByLabel('Key', { exact: true }).fill(service.adminKey)
    await page.keyboard.press('Enter')
    await isLive(page)
    await page.context().close()
  })

  it('shows targets of live requests to who may see them and asks for it, no other', async () => {
    const { page } = await browser.open({ viewport: DESK })
    const bodies: string[] = []
    page.on('response', (response) => {
      if (response.url().includes('/requests'))
        void response.text().then(
          (text) => bodies.push(text),
          () => {},
        )
    })
    await enter(page, service.url, service.adminKey, 'requests')
    const end = new AbortController()
    const slow = service.api.fetch({ url: 'http://slow.cbtor.test/' }, end.signal).catch(() => {})
    await page.locator('main tbody tr').first().waitFor()
    assert.ok(!(await page.content()).includes('slow.cbtor.test'))
    assert.deepEqual(bodies, [])
    await page.getByLabel('Show targets').check()
    await page.locator('main tbody').getByText('slow.cbtor.test').first().waitFor()
    await page.getByLabel('Show targets').uncheck()
    await page.waitForFunction(() => !document.body.innerText.includes('slow.cbtor.test'))
    end.abort()
    await slow
    await page.context().close()
  })

  it('tries a fetch: cancels it, says what is wrong with a field, and shows the same for curl', async () => {
    const { page } = await browser.open({ viewport: DESK })
    await enter(page, service.url, service.adminKey, 'try')
    await tryIt(page, 'http://slow.cbtor.test/')
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByText('Cancelled.').waitFor()
    await page.getByLabel('Exit country').fill('xx')
    await tryIt(page, 'http://www.cbtor.test/')
    await page.locator('.field-fault', { hasText: 'must be the code of a country' }).waitFor()
    await page.getByLabel('Exit country').fill('')
    await page.getByText('The same with curl').click()
    await page.locator('pre', { hasText: '"url":"http://www.cbtor.test/"' }).waitFor()
    await tryIt(page, 'http://nowhere.cbtor.test/')
    const link = page.getByRole('link', { name: 'resolve_failed' })
    assert.equal(await link.getAttribute('href'), '/problems/resolve_failed')
    await page.getByRole('button', { name: 'Forget the key' }).click()
    await page.getByLabel('Key', { exact: true }).fill(await service.key('another', ['fetch']))
    await page.keyboard.press('Enter')
    await page.locator('#main').waitFor()
    assert.equal(await page.getByRole('textbox', { name: 'URL' }).inputValue(), '')
    await page.context().close()
  })

  it('rotates and ends a session', async () => {
    const { page } = await browser.open({ viewport: DESK })
    await service.api.fetch({ url: 'http://www.cbtor.test/', sticky_key: 'mine' })
    await enter(page, service.url, service.adminKey, 'sessions')
    await page.getByLabel('Find sessions').fill('mine')
    await page.getByRole('button', { name: 'Rotate mine' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Rotate', exact: true }).click()
    await page.getByText('The session mine has a new identity.').waitFor()
    await page.getByRole('button', { name: 'End mine' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'End session' }).click()
    await page.getByText('No session fits the search.').waitFor()
    await page.context().close()
  })

  it('shows each event soon, and after a restart of the service what happened meanwhile', async (test) => {
    const { page } = await browser.open({ viewport: DESK })
    await enter(page, service.url, service.adminKey, 'events')
    const times: number[] = []
    for (const n of [1, 2, 3, 4, 5]) {
      await sleep(1_500)
      times.push(
        await timeUntilShown(page, `takes no requests: end ${n}`, () => service.worker('tor04').kill(`end ${n}`)),
      )
    }
    test.diagnostic(`an event is seen after ${times.join(', ')} ms (to reach: 500)`)
    assert.ok(Math.max(...times) < 5_000)
    // Who reads is not disturbed by what comes meanwhile.
    await page.locator('.event summary').first().click()
    service.worker('tor03').kill('end 6')
    await page.getByRole('button', { name: /newer event/ }).click()
    await page.getByText('takes no requests: end 6').waitFor()
    await page.evaluate(() => Object.assign(window, { isTheSame: true }))
    await newEventShown(page, 'The service started', () => service.restart())
    await isLive(page)
    assert.ok(await page.evaluate(() => 'isTheSame' in window), 'the page was loaded anew')
    await page.context().close()
  })
})

async function tryIt(page: Page, url: string): Promise<void> {
  await go(page, 'try')
  await page.getByLabel('URL, clearnet or .onion').fill(url)
  await page.getByRole('button', { name: 'Fetch through Tor' }).click()
}

/** Opens what can be opened in place. */
async function openAll(page: Page): Promise<void> {
  await page.evaluate(() => {
    for (const details of [...document.querySelectorAll<HTMLDetailsElement>('main details')].slice(0, 5))
      details.open = true
  })
}

/** The page at `/` in a browser, of a service with real Tors on the private network: what they do is seen, and done, on it. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { demoConfig } from '../../src/cli/commands/demo.ts'
import { type ApiClient, createApiClient } from '../../src/client/client.ts'
import type { ServiceConfig } from '../../src/config/read-config.ts'
import { createService, type Service } from '../../src/service.ts'
import { TorNetwork } from '../../src/testnet/network.ts'
import { eventually } from '../asking.ts'
import { withoutLimits } from '../integration/lab.ts'
import { launchBrowser, type WatchedPage } from './browser.ts'
import { enter, go, isLive, newEventShown, timeUntilShown } from './page-use.ts'

const WORKERS = ['tor01', 'tor02', 'tor03', 'tor04']

describe('the page of real workers', { timeout: 300_000 }, () => {
  const parts = new AsyncDisposableStack()
  let network: TorNetwork
  let config: ServiceConfig
  let service: Service
  let api: ApiClient
  let opened: WatchedPage

  before(async () => {
    network = parts.use(await TorNetwork.create())
    const state = join(network.directory, 'dashboard')
    config = { ...withoutLimits(demoConfig(network, '127.0.0.1:0', state)), log: 'silent' }
    service = await start()
    parts.defer(() => service[Symbol.asyncDispose]())
    await service.ready(AbortSignal.timeout(60_000))
    const { url, adminKey = '' } = service
    config = { ...config, listen: { host: '127.0.0.1', port: Number(new URL(url).port) } }
    api = createApiClient({ baseUrl: url, key: adminKey })
    const browser = parts.use(await launchBrowser())
    opened = await browser.open()
    await enter(opened.page, url, adminKey, 'workers')
    // Whatever comes: the page is not loaded a second time.
    await opened.page.evaluate(() => Object.assign(window, { isTheSame: true }))
  })
  after(() => parts.disposeAsync())

  function start(): Promise<Service> {
    return createService(config, {}, new AbortController().signal)
  }

  it('shows each with its state and its circuits, by relay and country', async () => {
    const { page } = opened
    for (const id of WORKERS) {
      const card = page.locator(`[data-worker="${id}"]`)
      await card.getByText('healthy', { exact: true }).first().waitFor()
      await card.locator('.card-circuits .country').first().waitFor()
    }
    const names = new Set(network.processes().map(({ name }) => name))
    const shown = await page.locator('[data-worker="tor01"] .card-circuits').innerText()
    assert.ok(
      [...names].some((name) => shown.includes(name)),
      shown,
    )
  })

  it('tries a fetch, and draws its receipt and its route through the relays', async () => {
    const { page } = opened
    await go(page, 'try')
    for (const [url, last] of [
      [`${network.urls.www}/ip`, 'exit'],
      [`${network.urls.onion}/ip`, 'rendezvous'],
    ] as const) {
      await page.getByLabel('URL, clearnet or .onion').fill(url)
      await page.getByRole('button', { name: 'Fetch through Tor' }).click()
      await page.locator('.hop-role', { hasText: last }).waitFor()
      const hops = await page.locator('.hop-name').allInnerTexts()
      assert.ok(hops.length >= 6, hops.join(' → '))
      assert.match(hops[1] ?? '', /^tor0\d$/)
      const parts = await page.locator('.span-name').allInnerTexts()
      assert.match(parts.join(), /Queue.*Circuit.*First byte.*Body/s)
      await page.getByText('200 OK').waitFor()
      await page.evaluate(() => {
        location.hash = '#/workers'
      })
      await go(page, 'try')
    }
  })

  it('shows that a Tor was killed, and that it comes back', async (test) => {
    const { page } = opened
    await go(page, 'workers')
    await page.evaluate(() => {
      const states: (string | undefined)[] = []
      const look = () => {
        const state = document.querySelector('[data-worker="tor02"] .card-state')?.textContent?.trim()
        if (states.at(-1) !== state) states.push(state)
      }
      look()
      new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true })
      Object.assign(window, { states })
    })
    const { pid } = (await api.worker('tor02')).process
    assert.ok(pid)
    const startedAt = performance.now()
    process.kill(pid, 'SIGKILL')
    const states = () => page.evaluate(() => (window as unknown as { states: string[] }).states)
    await eventually(async () => (await states()).length >= 3 && (await states()).at(-1) === 'healthy', 60_000)
    test.diagnostic(`seen: ${(await states()).join(' → ')} in ${Math.round(performance.now() - startedAt)} ms`)
    assert.ok((await states()).some((state) => state === 'dead' || state === 'recovery'))
    const again = (await api.worker('tor02')).process.pid
    assert.notEqual(again, pid)
    await page.locator('[data-worker="tor02"]').getByText(`pid ${again}`).waitFor()
  })

  it('drains, enables, restarts and gives new circuits by buttons', async () => {
    const { page } = opened
    const card = page.locator('[data-worker="tor03"]')
    const press = (name: string) => card.getByRole('button', { name: `${name}: tor03`, exact: true }).click()
    const confirm = (name: string) => page.getByRole('dialog').getByRole('button', { name, exact: true }).click()
    await press('Drain')
    await card.getByText('drained').first().waitFor()
    assert.equal((await api.worker('tor03')).desired, 'drained')
    await press('Enable')
    await page.getByText('tor03 is in the pool again.').waitFor()
    const { pid } = (await api.worker('tor03')).process
    await press('Restart')
    await page.getByRole('dialog').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'hidden' })
    assert.equal((await api.worker('tor03')).process.pid, pid)
    await press('Restart')
    await confirm('Restart')
    await page.getByText('tor03 is back.').waitFor({ timeout: 60_000 })
    assert.notEqual((await api.worker('tor03')).process.pid, pid)
    await press('New circuits')
    await confirm('New circuits')
    await page
      .getByText(/tor03 (has|will have) new circuits/)
      .first()
      .waitFor({ timeout: 30_000 })
  })

  it('rotates a session', async () => {
    const { page } = opened
    await api.fetch({ url: `${network.urls.www}/ip`, sticky_key: 'shop-1' })
    await go(page, 'sessions')
    const row = page.getByRole('row', { name: /shop-1/ })
    await row.locator('.country').waitFor()
    await row.getByRole('button', { name: 'Rotate shop-1' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Rotate', exact: true }).click()
    await row.getByText('not known').waitFor()
  })

  it('shows an event soon, goes on after a restart of the service, and has what happened meanwhile', async (test) => {
    const { page, complaints } = opened
    await go(page, 'events')
    const times: number[] = []
    for (const mode of ['random', 'failover', 'least_connections'] as const) {
      await sleep(700)
      times.push(await timeUntilShown(page, `The mode is ${mode} from now on`, () => api.setMode(mode)))
    }
    test.diagnostic(`an event is seen after ${times.join(', ')} ms (to reach: 500)`)
    assert.ok(Math.max(...times) < 5_000)
    await newEventShown(page, 'The service started', async () => {
      await service[Symbol.asyncDispose]()
      await page.getByText('Reconnecting').waitFor()
      service = await start()
    })
    await isLive(page, 30_000)
    // Told by the one that ended, after the page had lost it.
    await page.locator('.event', { hasText: 'stopping' }).first().waitFor()
    await go(page, 'workers')
    for (const id of WORKERS) {
      await page
        .locator(`[data-worker="${id}"]`)
        .getByText('healthy', { exact: true })
        .first()
        .waitFor({ timeout: 60_000 })
    }
    assert.ok(await page.evaluate(() => 'isTheSame' in window), 'the page was loaded anew')
    const ownDoing = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/
    assert.deepEqual(
      complaints.filter((text) => !ownDoing.test(text)),
      [],
    )
  })
})

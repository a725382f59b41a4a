/** The pages of the documents, in a browser, of an API that asks for keys. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { chromium } from 'playwright-core'
import { startServer } from '../../src/api/test-server.ts'

/** Debian's; where there is none, the one that playwright has brought. */
const EXECUTABLE = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path))

describe('Swagger UI', { timeout: 300_000 }, () => {
  it('takes a key by Authorize and sends it with what it tries out', async () => {
    await using server = await startServer({ auth: 'on' })
    const { text } = server.keys.create({ name: 'a reader', scopes: ['workers:read'] })
    const browser = await chromium.launch({ chromiumSandbox: false, ...(EXECUTABLE && { executablePath: EXECUTABLE }) })
    try {
      const page = await browser.newPage()
      const complaints: string[] = []
      page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())))
      await page.goto(`${server.url}/docs`)
      await page.click('.auth-wrapper button.authorize')
      await page.fill('.auth-container input', text)
      await page.click('.auth-btn-wrapper button[type=submit]')
      await page.click('.auth-btn-wrapper button.btn-done')
      await page.click('#operations-Core-getHealth .opblock-summary-control')
      await page.click('#operations-Core-getHealth button.try-out__btn')
      await page.click('#operations-Core-getHealth button.execute')
      const status = await page.innerText('#operations-Core-getHealth .live-responses-table tbody .response-col_status')
      assert.match(status, /200/)
      assert.deepEqual(server.keys.shown, [text])
      assert.deepEqual(complaints, [])
    } finally {
      await browser.close()
    }
  })
})

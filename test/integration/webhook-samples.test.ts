/** What docs/client.md says of webhooks, in Python and JavaScript, on what the service really posts. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { createApiClient } from '../../src/client/client.ts'
import { parseConfig } from '../../src/config/read-config.ts'
import { createService } from '../../src/service.ts'
import { FakeDriver } from '../../src/workers/fake/fake-driver.ts'
import { blocksOf } from '../docs/pages.ts'

const run = promisify(execFile)

describe('the webhook samples', { timeout: 60_000 }, () => {
  it('take what the service posts for genuine, and nothing else', async () => {
    await using parts = new AsyncDisposableStack()
    const posted = Promise.withResolvers<{ readonly headers: object; readonly body: string }>()
    const receiver = createServer(async (request, response) => {
      posted.resolve({ headers: request.headers, body: await text(request) })
      response.end()
    })
    await once(receiver.listen(0, '127.0.0.1'), 'listening')
    parts.defer(() => void receiver.close())
    const { port } = receiver.address() as AddressInfo

    const state = mkdtempSync(join(tmpdir(), 'cbtor-webhook-'))
    parts.defer(() => rmSync(state, { recursive: true }))
    const document = {
      ...{ state, listen: '127.0.0.1:0', log: 'silent', auth: 'off', proxy: { http: 'off', socks: 'off' } },
      workers: [{ kind: 'local', id: 'tor01' }],
      checks: { clearnet: ['http://check.test/'], onion: [] },
      jobs: { webhook_allow: [`127.0.0.1:${port}`] },
    }
    const createDriver = (id: string) => new FakeDriver({ id, targets: new Map(), exits: [] })
    const service = parts.use(
      await createService(parseConfig(document, {}), { createDriver }, new AbortController().signal),
    )
    const secret = 'a secret that only we two know'
    const webhook = { url: `http://127.0.0.1:${port}/`, secret }
    const api = createApiClient({ baseUrl: service.url })
    const { id } = await api.submitJob({ fetches: [{ url: 'http://a.test/' }], webhook })
    await api.cancelJob(id)
    const { headers, body } = await posted.promise

    for (const [language, program, args, call] of [
      [
        'python',
        '/usr/bin/python3',
        ['-c'],
        'import json, os; print(*[is_genuine(s, *json.loads(os.environ["POST"]), b.encode()) for s, b in json.loads(os.environ["CASES"])])',
      ],
      [
        'js',
        process.execPath,
        ['--input-type=module', '-e'],
        'console.log(...JSON.parse(process.env.CASES).map(([s, b]) => isGenuine(s, ...JSON.parse(process.env.POST), Buffer.from(b))))',
      ],
    ] as const) {
      const sample = blocksOf('docs/client.md').find(
        (block) => block.language === language && /genuine/i.test(block.text),
      )
      const env = {
        POST: JSON.stringify([headers]),
        CASES: JSON.stringify([
          [secret, body],
          [secret, `${body} `],
          ['another secret of ours', body],
        ]),
      }
      const { stdout } = await run(program, [...args, `${sample?.text}\n${call}`], { env })
      assert.equal(stdout.trim().toLowerCase(), 'true false false', language)
    }
  })
})

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import type { ApiClient, RawAnswer } from '../client/client.ts'
import { onAbort } from '../lib/abort.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { ExitWith } from './exit-with.ts'
import { runFetch } from './fetch-work.ts'
import type { ServiceParts } from './parts.ts'

const URL = 'http://a.test/'

/** At a terminal, of a service that does nothing but what `api` does. */
function createPlace(api: Partial<ApiClient>, signal = new AbortController().signal) {
  const clock = new FakeClock()
  const written = { out: '', err: '' }
  const into = (name: 'out' | 'err') => ({
    isTTY: true,
    write(text: string | Uint8Array) {
      written[name] += text
    },
  })
  const notHere = () => Promise.reject(new Error('There is no such thing in this test'))
  const parts: ServiceParts = {
    ...{
      env: {},
      out: into('out'),
      err: into('err'),
      clock,
      signal,
      createService: notHere,
      createTestNetwork: notHere,
    },
    connect: async () => api as ApiClient,
  }
  return { clock, written, parts }
}

function rawAnswer(body: AsyncIterable<Uint8Array>, length: number): RawAnswer {
  const headers = { 'content-length': String(length), 'cbtor-worker': 'tor01' }
  return { status: 200, headers, body: Object.assign(body, { destroy() {} }), trailers: {} }
}

describe('runFetch()', () => {
  it('shows how far a long body has come, and cleans up behind itself', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'cbtor-fetch-'))
    const place = createPlace({ fetchRaw: async () => rawAnswer(chunks(), 4_096) })
    async function* chunks() {
      for (let n = 0; n < 4; n++) {
        await place.clock.advance(1_000)
        yield Buffer.alloc(1_024, 'x')
      }
    }
    const output = join(directory, 'file')
    await runFetch(URL, { raw: true, output }, place.parts)
    assert.equal(readFileSync(output, 'utf8').length, 4_096)
    const shown = stripVTControlCharacters(place.written.err).split('\r').filter(Boolean)
    assert.equal(shown[1], '[##########..........] 2.0 KiB of 4.0 KiB, 1.0 KiB/s')
    assert.ok(place.written.err.endsWith('\r\x1b[K'), 'the line is empty at the end')
    rmSync(directory, { recursive: true })
  })

  it('says that it waits, and gives up a service that takes longer than it may', async () => {
    const { clock, written, parts } = createPlace({
      fetch: (_, signal) => new Promise((_resolve, reject) => signal && onAbort(signal, (reason) => reject(reason))),
    })
    const fetched = runFetch(URL, { timeout: 5_000 }, parts)
    const late = assert.rejects(fetched, (error) => error instanceof ExitWith && error.exitCode === 4)
    await clock.advance(35_000)
    await late
    assert.match(written.err, /waiting for 1 s.*waiting for 30 s/s)
    assert.equal(clock.pending, 0)
  })

  it('says that a file cannot be written, rather than that the body broke off', { timeout: 10_000 }, async () => {
    let isLeft = false
    async function* chunks() {
      yield Buffer.alloc(65_536)
    }
    const fetchInto = async (output: string) => {
      const answer = rawAnswer(chunks(), 65_536)
      const body = Object.assign(answer.body, { destroy: () => (isLeft = true) })
      const { parts } = createPlace({ fetchRaw: async () => ({ ...answer, body }) })
      return await runFetch(URL, { raw: true, output }, parts).catch((error: unknown) => error)
    }
    const full = await fetchInto('/dev/full')
    assert.ok(full instanceof ExitWith)
    assert.deepEqual([full.exitCode, full.message.split(':')[0]], [1, 'Cannot write /dev/full'])
    isLeft = false
    const directory = await fetchInto('/')
    assert.ok(directory instanceof ExitWith)
    assert.deepEqual([directory.exitCode, directory.message.split(':')[0]], [2, 'Cannot write /'])
    assert.ok(isLeft, 'the body is not waited for')
  })

  it('shows characters whole on a terminal, however they come', async () => {
    async function* chunks() {
      const bytes = Buffer.from('🧅\x9b1m')
      yield bytes.subarray(0, 2)
      yield bytes.subarray(2)
    }
    const { written, parts } = createPlace({ fetchRaw: async () => rawAnswer(chunks(), 8) })
    await runFetch(URL, { raw: true, silent: true }, parts)
    assert.equal(written.out, '🧅\\x9b1m')
  })

  it('shows no progress where it was asked not to', async () => {
    async function* chunks() {
      yield Buffer.from('all of it')
    }
    const { written, parts } = createPlace({ fetchRaw: async () => rawAnswer(chunks(), 9) })
    await runFetch(URL, { raw: true, silent: true }, parts)
    assert.deepEqual(written, { out: 'all of it', err: '' })
  })
})

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { jobStoreContract } from '../../test/contracts/job-store-contract.ts'
import { MemoryJobStore, MemoryJobs } from './memory-job-store.ts'
import { SqliteJobStore } from './sqlite-job-store.ts'

function temporaryFile() {
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-jobs-'))
  return {
    path: join(directory, 'jobs.db'),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  }
}

jobStoreContract('memory', () => {
  const kept = new MemoryJobs()
  return { open: () => new MemoryJobStore(kept), [Symbol.dispose]() {} }
})

jobStoreContract('sqlite', () => {
  const file = temporaryFile()
  return { open: () => new SqliteJobStore(file.path), [Symbol.dispose]: () => file[Symbol.dispose]() }
})

it('lets only its owner read the file, and leaves nothing in it of what is removed', () => {
  using file = temporaryFile()
  const needle = 'needle-in-the-url'
  {
    using store = new SqliteJobStore(file.path)
    const request = {
      ...{
        url: `http://site.test/${needle}`,
        method: 'GET',
        headers: [],
        timeoutMs: 1,
        maxBytes: 2,
        followRedirects: true,
      },
      ...{ maxRedirects: 3, allowDowngrade: false, allowOnionToClearnet: false, isolation: 'request' as const },
    }
    const phase = { delaysMs: [1], maxRetries: 1 }
    const job = {
      ...{ id: 'a', owner: 'alice', name: undefined, state: 'done' as const, createdAt: 1, endedAt: 1, deadlineAt: 2 },
      ...{ fetches: 1, retry: { phases: { descriptor: phase, circuit: phase, http: phase }, statuses: [] } },
      ...{ webhook: undefined, delivery: { state: 'idle' as const, tries: 0 } },
    }
    store.add(job, [{ request, responseEncoding: 'auto' }])
    assert.equal(statSync(file.path).mode & 0o777, 0o600)
    store.remove('a')
    for (const path of [file.path, `${file.path}-wal`]) assert.ok(!readFileSync(path).includes(needle), path)
  }
  assert.ok(!readFileSync(file.path).includes(needle))
})

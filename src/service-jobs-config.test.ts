import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ConfigError, parseConfig } from './config/read-config.ts'
import { jobsPolicyOf } from './service-jobs.ts'

const parse = (jobs: unknown) => parseConfig({ state: '/nowhere', jobs }, {})

function faultsOf(jobs: unknown): readonly string[] {
  try {
    parse(jobs)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

describe('the section jobs', () => {
  it('has defaults for everything, and becomes the policy of jobs', () => {
    const policy = jobsPolicyOf(parse({ retry: { http: { retries: 0 } }, webhook_allow: ['10.1.0.0/16:9000'] }))
    assert.deepEqual(policy, {
      ...{ concurrency: 16, concurrencyPerJob: 8, maxJobs: 1_000, maxJobsPerCaller: 100, maxBytes: 2 ** 30 },
      ...{ retentionMs: 7 * 86_400_000, deadlineMs: 86_400_000 },
      retry: {
        phases: {
          descriptor: { delaysMs: [30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000], maxRetries: 200 },
          circuit: { delaysMs: [5_000, 15_000, 60_000, 300_000, 900_000], maxRetries: 50 },
          http: { delaysMs: [10_000, 30_000, 120_000, 600_000], maxRetries: 0 },
        },
        statuses: [],
      },
      receivers: [{ address: '10.1.0.0', prefix: 16, family: 4, port: 9000 }],
    })
  })

  it('says what would be right', () => {
    assert.match(
      faultsOf({ webhook_allow: ['8.8.8.8:80'] })[0] ?? '',
      /^jobs\.webhook_allow\.0: expected an address or a network of your own/,
    )
    assert.match(faultsOf({ max_stored: 'off' })[0] ?? '', /^jobs\.max_stored: expected a size from 1MiB on/)
    assert.match(faultsOf({ retention: '1s' })[0] ?? '', /^jobs\.retention: expected a duration from 1m to 365d/)
    assert.match(
      faultsOf({ retry: { http: { delays: ['10ms'] } } })[0] ?? '',
      /^jobs\.retry\.http\.delays\.0: expected a duration from 1s to 1d/,
    )
    assert.equal(faultsOf({ concurrency: 0, max_jobs: 1.5, nonsense: 1 }).length, 3)
  })
})

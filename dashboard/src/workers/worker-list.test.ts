import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { testWorker } from '../test-worker.ts'
import { type Choice, chosenWorkers } from './worker-list.ts'

const WORKERS = [
  testWorker(1, { leases: 2, requests_per_s: 1, read_bytes_per_s: 5 }),
  testWorker(2, { state: 'dead', failures: 9, problem: 'Tor exited with code 1' }),
  testWorker(3, { desired: 'drained', leases: 5, written_bytes_per_s: 50 }),
  testWorker(4, { kind: 'openwrt', state: 'suspect', requests_per_s: 4 }),
]

function chosen(choice: Partial<Choice>): string {
  const workers = chosenWorkers(WORKERS, { group: 'all', search: '', sort: 'number', ...choice })
  return workers.map(({ n }) => n).join(' ')
}

describe('chosenWorkers()', () => {
  it('takes those of a group, where a drained worker is of no other', () => {
    assert.equal(chosen({ group: 'dead' }), '2')
    assert.equal(chosen({ group: 'drained' }), '3')
    assert.equal(chosen({ group: 'healthy' }), '1')
    assert.equal(chosen({ group: 'stopped' }), '')
  })

  it('finds all words, in whatever is known of a worker', () => {
    assert.equal(chosen({ search: ' OPENWRT ' }), '4')
    assert.equal(chosen({ search: 'exited dead' }), '2')
    assert.equal(chosen({ search: 'local tor03' }), '3')
    assert.equal(chosen({ search: 'nothing like that' }), '')
  })

  it('sorts by what is wanted, and by number where that is alike', () => {
    assert.equal(chosen({ sort: 'state' }), '2 4 1 3')
    assert.equal(chosen({ sort: 'leases' }), '3 1 2 4')
    assert.equal(chosen({ sort: 'requests' }), '4 1 2 3')
    assert.equal(chosen({ sort: 'throughput' }), '3 1 2 4')
    assert.equal(chosen({ sort: 'failures' }), '2 1 3 4')
  })
})

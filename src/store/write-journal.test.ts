import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { SqliteWriteJournal } from './write-journal.ts'

it('keeps the last write of each name across restarts, until it is told', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-journal-'))
  const path = join(directory, 'unsent.db')
  const last = { stamp: '2', value: { mode: 'sticky', of: [null, 'ü'] }, until: undefined }
  const removed = { stamp: '3', value: undefined, until: 1_000 }
  {
    using journal = new SqliteWriteJournal(path)
    assert.deepEqual(journal.unsent(), [])
    journal.keep('mode', { ...last, stamp: '1', value: null })
    journal.keep('mode', last)
    journal.keep('key/1', removed)
    journal.keep('told', { stamp: '4', value: null, until: undefined })
    journal.forget('told')
    journal.forget('never')
  }
  {
    using journal = new SqliteWriteJournal(path)
    assert.deepEqual(new Map(journal.unsent()), new Map<string, unknown>([['mode', last]]).set('key/1', removed))
    assert.equal(statSync(path).mode & 0o777, 0o600)
  }
  {
    using journal = new SqliteWriteJournal(path, 'another pool')
    assert.deepEqual(journal.unsent(), [])
    journal.keep('mode', { ...last, stamp: '9' })
    journal.forget('key/1')
  }
  {
    using journal = new SqliteWriteJournal(path)
    assert.deepEqual(new Map(journal.unsent()).get('mode'), last)
    assert.deepEqual(new Map(journal.unsent()).get('key/1'), removed)
  }
  rmSync(directory, { recursive: true })
})

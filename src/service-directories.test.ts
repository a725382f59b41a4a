import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { parseConfig } from './config/read-config.ts'
import { keepDirectories } from './service-directories.ts'

it("keeps a worker's guards when its gateway begins to share a pool, and when it is alone again", () => {
  const state = mkdtempSync(join(tmpdir(), 'cbtor-dirs-'))
  const config = (store: string) =>
    parseConfig(
      {
        ...{ state, store, cluster: { replica: 'gw1' } },
        workers: [
          { kind: 'local', id: 'tor01' },
          { kind: 'local', id: 'tor02' },
          { kind: 'external', id: 'tor03', socks: '127.0.0.1:9050' },
        ],
      },
      {},
    )
  try {
    const file = (id: string) => join(state, 'workers', id, 'state')
    for (const id of ['tor01', 'tor03']) mkdirSync(join(state, 'workers', id), { recursive: true })
    writeFileSync(file('tor01'), 'Guard in=default')
    keepDirectories(config('embedded'))
    assert.deepEqual(readdirSync(join(state, 'workers')).sort(), ['tor01', 'tor03'])
    for (let n = 0; n < 2; n++) keepDirectories(config('redis://127.0.0.1:6379'))
    assert.deepEqual(readdirSync(join(state, 'workers')).sort(), ['gw1-tor01', 'tor03'])
    assert.equal(readFileSync(file('gw1-tor01'), 'utf8'), 'Guard in=default')

    mkdirSync(join(state, 'workers', 'tor01'))
    keepDirectories(config('embedded'))
    assert.ok(existsSync(file('gw1-tor01')), 'one that is there already is left alone')
    rmSync(join(state, 'workers', 'tor01'), { recursive: true })
    keepDirectories(config('embedded'))
    assert.equal(readFileSync(file('tor01'), 'utf8'), 'Guard in=default')
  } finally {
    rmSync(state, { recursive: true })
  }
})

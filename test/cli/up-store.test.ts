/** `cbtor up` with a shared store that is not there, or not for it. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, it } from 'node:test'
import { EXIT } from '../../src/cli/exit-with.ts'
import { startValkey } from '../valkey.ts'

const directory = mkdtempSync(join(tmpdir(), 'cbtor-up-store-'))
after(() => rmSync(directory, { recursive: true }))

function up(store: string, words: readonly string[]): ChildProcess {
  const config = join(directory, 'cbtor.yaml')
  const state = join(directory, 'state')
  writeFileSync(config, JSON.stringify({ state, store, listen: '127.0.0.1:0', proxy: { http: 'off', socks: 'off' } }))
  const argv = ['src/main.ts', 'up', '--config', config, ...words]
  return spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'pipe'] })
}

async function ended(child: ChildProcess): Promise<readonly [code: unknown, text: string]> {
  const written = child.stderr === null ? '' : text(child.stderr)
  const [code] = await once(child, 'exit')
  return [code, await written]
}

it('ends with an exit code of its own, and says what to do', { timeout: 60_000 }, async () => {
  await using store = await startValkey()
  const [refusedCode, refused] = await ended(up(store.url.replace('redis+unix', 'rediss+unix'), []))
  assert.deepEqual([refusedCode, /expected embedded, redis:/.test(refused)], [EXIT.usage, true], refused)
  await store.cli('HSET', '{cbtor}:pool', 'verifier', 'x', 'major', '1', 'minor', '0', 'version', '1.0.0')
  const [otherCode, other] = await ended(up(store.url, ['--wait-for-store']))
  assert.equal(otherCode, EXIT.store, other)
  assert.match(other, /another pool uses the prefix cbtor/)
  await store.stop()
  const [awayCode, away] = await ended(up(store.url, []))
  assert.equal(awayCode, EXIT.store, away)
  assert.match(away, /Cannot reach the shared store.*cbtor up --wait-for-store/)
})

it('waits for it when it is told to, until it is interrupted', { timeout: 60_000 }, async () => {
  const child = up(`redis+unix://${directory}/none.sock`, ['--wait-for-store'])
  child.stderr?.once('data', () => child.kill('SIGINT'))
  const [code, written] = await ended(child)
  assert.equal(code, EXIT.interrupted, written)
  assert.match(written, /waiting for the shared store: Cannot reach/)
})

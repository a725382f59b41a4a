import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { command } from '../../ssh/command.ts'
import { FENCED_OFF, fenced, fenceLine } from './box-fence.ts'

it('a box takes no order of a gateway after one of another that heals it since', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-fence-'))
  using _ = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) }
  const order = (token: number) => {
    const script = fenced(command`echo done`).replaceAll('/var/run', directory)
    const { status, stdout } = spawnSync('sh', ['-c', script], { input: fenceLine(token), encoding: 'utf8' })
    return [status, stdout.trim()]
  }
  assert.deepEqual(order(999), [0, 'done'])
  assert.deepEqual(order(999), [0, 'done'])
  assert.deepEqual(order(1_800_000_000_001), [0, 'done'])
  assert.deepEqual(order(1_800_000_000_000), [FENCED_OFF, 'another gateway heals this box by now'])
  assert.deepEqual(order(999), [FENCED_OFF, 'another gateway heals this box by now'])
  assert.deepEqual(order(Number.MAX_SAFE_INTEGER), [0, 'done'])
})

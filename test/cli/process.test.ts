import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { it } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)

it('ends quietly when nobody reads on', { timeout: 60_000 }, async () => {
  const script = `"${process.execPath}" src/main.ts completion bash | true; echo "\${PIPESTATUS[0]}"`
  const { stdout, stderr } = await run('bash', ['-c', script])
  assert.deepEqual([stdout, stderr], ['141\n', ''])
})

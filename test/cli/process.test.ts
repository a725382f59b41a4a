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

it('goes on when nobody reads what it says, or there is no room for it', { timeout: 60_000 }, async () => {
  const wrong = `"${process.execPath}" src/main.ts config check /nowhere`
  for (const script of [`${wrong} 2>/dev/full; echo $?`, `exec 3> >(true); sleep 0.2; ${wrong} 2>&3; echo $?`]) {
    const { stdout } = await run('bash', ['-c', script])
    assert.equal(stdout, '2\n', script)
  }
})

it('says that its output cannot be written', { timeout: 60_000 }, async () => {
  const { stdout, stderr } = await run('bash', [
    '-c',
    `"${process.execPath}" src/main.ts completion bash >/dev/full || echo $?`,
  ])
  assert.equal(stdout, '1\n')
  assert.match(stderr, /^cbtor: Cannot write the output: ENOSPC.*\n$/)
})

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { startValkey } from './valkey.ts'

for (const options of [{}, { tcp: true, password: 'a secret' }])
  it(`keeps its data when it is stopped, killed and frozen, ${JSON.stringify(options)}`, {
    timeout: 60_000,
  }, async () => {
    await using valkey = await startValkey(options)
    assert.equal(await valkey.cli('SET', 'x', '1'), 'OK')
    await valkey.stop()
    await assert.rejects(valkey.cli('GET', 'x'))
    await valkey.restart()
    assert.equal(await valkey.cli('GET', 'x'), '1')
    valkey.freeze()
    const answer = valkey.cli('GET', 'x')
    valkey.thaw()
    assert.equal(await answer, '1')
    await valkey.kill()
    await valkey.restart()
    assert.equal(await valkey.cli('GET', 'x'), '1')
  })

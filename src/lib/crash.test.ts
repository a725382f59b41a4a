import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { it } from 'node:test'

const CRASH = new URL('./crash.ts', import.meta.url).href
const SECRET = 'zq9planted'

for (const [how, statement] of [
  ['an error is thrown', 'setImmediate(() => { throw bug })'],
  ['a promise is rejected', 'Promise.reject(bug)'],
  ['a stream fails', "new (await import('node:stream')).Readable().destroy(bug)"],
  ['something is thrown that is no error', `setImmediate(() => { throw '${SECRET}' })`],
] as const) {
  it(`a process ends without telling what was in its hands when ${how} and nobody cares`, () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [
        ...['--input-type=module', '--eval'],
        `import { crashWithoutSecrets } from '${CRASH}'
        crashWithoutSecrets()
        const cause = new Error('for ${SECRET}')
        const bug = Object.assign(new TypeError('no host ${SECRET}', { cause }), { host: '${SECRET}' })
        ${statement}
        setTimeout(() => {}, 60_000)`,
      ],
      { encoding: 'utf8' },
    )
    assert.deepEqual([status, stdout], [1, ''])
    assert.match(stderr, /^cbtor: ended by a bug, please report it: (?:TypeError\n {4}at |string\n)/)
    assert.ok(!stderr.includes(SECRET), stderr)
  })
}

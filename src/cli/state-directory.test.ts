import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, it } from 'node:test'
import { Command } from 'commander'
import { type StateFlags, withState } from './flags.ts'
import { stateOf } from './state-directory.ts'

describe('the state directory of a command', () => {
  function parse(argv: readonly string[], env: Record<string, string> = {}): string {
    const command = withState(new Command()).exitOverride()
    command.parse([...argv], { from: 'user' })
    return stateOf(command.opts<StateFlags>(), { env })
  }

  it('is that of the flag, the environment, the file or the user, in this order', () => {
    const directory = mkdtempSync(join(tmpdir(), 'cbtor-state-'))
    const file = join(directory, 'cbtor.yaml')
    writeFileSync(file, 'state: /of/file\n')
    const [CBTOR_STATE, HOME] = ['/of/environment', '/home/me']
    assert.equal(parse(['-c', file, '--state', 'here'], { CBTOR_STATE }), resolve('here'))
    assert.equal(parse(['--config', file], { CBTOR_STATE }), CBTOR_STATE)
    assert.equal(parse([], { CBTOR_CONFIG: file }), '/of/file')
    assert.equal(parse([], { HOME }), '/home/me/.local/state/cbtor')
    assert.throws(() => parse(['-c', join(directory, 'missing')]), /missing: cannot be read/)
    rmSync(directory, { recursive: true })
  })
})

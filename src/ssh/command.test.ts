import assert from 'node:assert/strict'
import { it } from 'node:test'
import { command } from './command.ts'

it('takes the text as it stands, so that the shell sees its backslashes', () => {
  assert.equal(command`printf 'a\n%s' "$HOME"`, String.raw`printf 'a\n%s' "$HOME"`)
})

it('gives a backtick and a brace back that the template had to escape', () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: that is what the shell is to see
  assert.equal(command`echo \`id\` \${HOME}`, 'echo `id` ${HOME}')
})

it('takes no values', () => {
  const value = 'reboot'
  assert.throws(
    // @ts-expect-error: an interpolation does not even compile
    () => command`echo ${value}`,
    TypeError,
  )
})

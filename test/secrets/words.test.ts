import assert from 'node:assert/strict'
import { it } from 'node:test'
import { hitsIn, wordFor } from './words.ts'

it('a planted word is found as it is, in capitals, in a URL, in base64 and in hex', () => {
  const word = wordFor('field')
  const texts = [
    ...[word, word.toUpperCase(), `http://a.test/?q=${word}&b`, Buffer.from(word).toString('hex')],
    ...['', 'a', 'ab', 'abc'].map((before) => Buffer.from(`${before}${word}:after`).toString('base64')),
    ...['', 'a', 'ab', 'abc'].map((before) => Buffer.from(`${before}${word}`).toString('base64url')),
  ]
  for (const text of texts) assert.equal(hitsIn({ log: `a line\nanother with ${text} in it` }).length, 1, text)
  assert.deepEqual(hitsIn({ log: 'nothing of the kind' }), [])
  assert.deepEqual(hitsIn({ log: `${word}\n` }), [{ where: 'log', word, line: word }])
  assert.deepEqual(
    hitsIn({ log: word }, (hit) => hit.word === word),
    [],
  )
})

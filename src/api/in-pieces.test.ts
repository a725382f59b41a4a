import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { inPieces, PIECE } from './in-pieces.ts'

describe('inPieces()', () => {
  it('is the same text, whatever stands where it is parted', async () => {
    for (const whole of [
      '',
      'short',
      'é'.repeat(PIECE + 1),
      `${'x'.repeat(PIECE - 1)}😀${'😀'.repeat(PIECE)}`,
      `${'x'.repeat(PIECE - 1)}\ud83d`,
    ])
      assert.equal(await text(inPieces(whole)), whole.toWellFormed())
  })
})

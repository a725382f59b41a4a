import { Readable } from 'node:stream'

/** Longer answers go out in pieces of so many characters. */
export const PIECE = 256 * 1024

/**
 * A long text as a stream. Given to a socket in one go it would be copied as a whole, and nobody could see how much of it the
 * client has taken, so that one who reads slowly and one who does not read look the same.
 */
export function inPieces(text: string): Readable {
  return Readable.from(pieces(text), { objectMode: false, highWaterMark: PIECE })
}

function* pieces(text: string): Generator<Buffer> {
  for (let at = 0; at < text.length; ) {
    let end = Math.min(at + PIECE, text.length)
    if (isHighSurrogate(text.charCodeAt(end - 1))) end++ // two units of one character
    yield Buffer.from(text.slice(at, end))
    at = end
  }
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff
}

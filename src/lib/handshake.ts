/** What a conversation must do next: send all of `bytes`, or come back with exactly `count` of them. */
export type HandshakeStep =
  | { readonly type: 'write'; readonly bytes: Buffer }
  | { readonly type: 'read'; readonly count: number }

/**
 * One side of a conversation, without a socket: yields one step at a time, is resumed with the bytes that a `read` asked for, returns
 * when all is well, and throws what makes it fail.
 */
export type Handshake<T> = Generator<HandshakeStep, T, Buffer>

export function write(bytes: Buffer | readonly number[]): HandshakeStep {
  return { type: 'write', bytes: Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes) }
}

/** At least one byte: a read of nothing would never end. */
export function* read(count: number): Handshake<Buffer> {
  return yield { type: 'read', count }
}

import type { Socket } from 'node:net'

/** From here on a chunk is worth giving back: what a read of the kernel has filled. */
const LARGE_BYTES = 16 * 1024

/**
 * Hands on to `to` what comes from `from`, each piece as it comes and no faster than it is taken. Neither is ended by it, and what
 * comes once it is disposed is left to the next reader. `onFirst` sees the first piece.
 */
export function carry(from: Socket, to: Socket, onFirst?: (chunk: Buffer) => void): Disposable {
  let isFirst = onFirst !== undefined
  let waiting: Buffer | undefined
  const onData = (chunk: Buffer) => {
    if (isFirst) {
      isFirst = false
      onFirst?.(chunk)
    }
    // A full buffer that the kernel has taken at once is no reason to wait: a whole chunk fills it each time.
    const isTaken = to.write(chunk) || to.writableLength === 0
    if (!isTaken) {
      waiting = chunk
      from.pause()
    } else if (to.writableLength === 0) giveBack(chunk)
  }
  const onDrain = () => {
    if (waiting === undefined) return
    giveBack(waiting)
    waiting = undefined
    from.resume()
  }
  from.on('data', onData)
  to.on('drain', onDrain)
  from.resume()
  return {
    [Symbol.dispose]() {
      from.off('data', onData).pause()
      to.off('drain', onDrain)
    },
  }
}

/**
 * Frees the memory of a chunk that has been sent and that nobody else has. Left to the garbage collector, it would have the whole heap
 * marked after each 64 MB or so: V8 takes memory outside of its heap for pressure.
 */
function giveBack({ buffer, byteLength }: Buffer): void {
  if (byteLength >= LARGE_BYTES && buffer.byteLength === byteLength && buffer instanceof ArrayBuffer) buffer.transfer(0)
}

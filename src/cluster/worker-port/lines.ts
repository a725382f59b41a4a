import type { Socket } from 'node:net'
import { onAbort } from '../../lib/abort.ts'

/** What the other end has sent is not of our protocol. */
export class LineError extends Error {
  override readonly name = 'LineError'
}

const NEWLINE = 0x0a

/**
 * Resolves with the first line, and leaves what comes behind it to the next reader. Rejects with `LineError` when there is none in
 * the first `maxBytes`, or the stream ends before, and with the signal's reason. The socket is the caller's to destroy.
 */
export function readLine(socket: Socket, maxBytes: number, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const parts: Buffer[] = []
  let length = 0
  const look = () => {
    for (let chunk = read(socket); chunk !== undefined; chunk = read(socket)) {
      const end = chunk.indexOf(NEWLINE)
      parts.push(end < 0 ? chunk : chunk.subarray(0, end))
      length += end < 0 ? chunk.length : end
      if (length > maxBytes) return fail(new LineError(`A line is longer than ${maxBytes} bytes`))
      if (end < 0) continue
      stop()
      if (end + 1 < chunk.length) socket.unshift(chunk.subarray(end + 1))
      return resolve(Buffer.concat(parts).toString())
    }
    if (socket.readableEnded || socket.destroyed) fail(broken(socket))
  }
  const fail = (error: unknown) => {
    stop()
    reject(error)
  }
  const stop = () => {
    aborted[Symbol.dispose]()
    socket.off('readable', look).off('end', look).off('close', look)
  }
  const aborted = onAbort(signal, (reason) => queueMicrotask(() => fail(reason)))
  socket.on('readable', look).on('end', look).on('close', look)
  look()
  return promise
}

function read(socket: Socket): Buffer | undefined {
  return (socket.read() as Buffer | null) ?? undefined
}

function broken(socket: Socket): Error {
  const { errored } = socket
  return new LineError(
    'The other end closed the connection before its line was complete',
    errored ? { cause: errored } : {},
  )
}

/**
 * Calls `onLine` with each line from now on; `onEnd` once, when no more will come, with why: of a line that is longer than `maxBytes`,
 * too. Empty lines are passed over.
 */
export function eachLine(
  socket: Socket,
  maxBytes: number,
  onLine: (line: string) => void,
  onEnd: (reason: string) => void,
): void {
  let parts: Buffer[] = []
  let length = 0
  let isOver = false
  const end = (reason: string) => {
    if (isOver) return
    isOver = true
    onEnd(reason)
  }
  socket.on('data', (chunk: Buffer) => {
    let rest = chunk
    while (!isOver) {
      const at = rest.indexOf(NEWLINE)
      const part = at < 0 ? rest : rest.subarray(0, at)
      parts.push(part)
      length += part.length
      if (length > maxBytes) return end(`a message is longer than ${maxBytes} bytes`)
      if (at < 0) return
      const line = Buffer.concat(parts).toString()
      parts = []
      length = 0
      rest = rest.subarray(at + 1)
      if (line !== '') onLine(line)
    }
  })
  socket.once('end', () => end('it closed the connection'))
  socket.once('close', () => end('the connection was lost'))
}

/** Undefined for what is no JSON. */
export function fromJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

export function toLine(message: object): string {
  return `${JSON.stringify(message)}\n`
}

import type { Socket } from 'node:net'
import { onAbort } from '../../lib/abort.ts'

/** The first line that comes, without its end. Rejects when it is longer than `limit` bytes, or when none comes before the end. */
export async function readLine(socket: Socket, limit: number, signal: AbortSignal): Promise<string> {
  const line = Promise.withResolvers<string>()
  let bytes = Buffer.alloc(0)
  const onData = (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    const end = bytes.indexOf('\n')
    if (end > limit || (end < 0 && bytes.length > limit)) line.reject(new Error(`a line is longer than ${limit} bytes`))
    else if (end >= 0) line.resolve(bytes.subarray(0, end).toString('utf8'))
  }
  const onEnd = () => line.reject(new Error('the connection ended before a line had come'))
  socket.on('data', onData).on('error', line.reject).on('end', onEnd).on('close', onEnd)
  using _ = onAbort(signal, line.reject)
  try {
    return await line.promise
  } finally {
    socket.off('data', onData).off('error', line.reject).off('end', onEnd).off('close', onEnd)
  }
}

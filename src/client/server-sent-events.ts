export interface ServerSentEvent {
  readonly event: string
  readonly data: string
}

/**
 * Reads a stream as our service writes it (lines end with LF, `data` has one line): messages with data; comments and lone ids
 * are left out. Ends with the bytes and rejects as they do.
 */
export async function* readServerSentEvents(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<ServerSentEvent, void> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of bytes) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const data = fieldOf(block, 'data')
      if (data !== undefined) yield { event: fieldOf(block, 'event') ?? 'message', data }
    }
  }
}

function fieldOf(block: string, name: string): string | undefined {
  const start = `${name}: `
  return block
    .split('\n')
    .find((line) => line.startsWith(start))
    ?.slice(start.length)
}

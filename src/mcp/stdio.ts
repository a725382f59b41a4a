import type { Readable, Writable } from 'node:stream'
import { StdioServerTransport, serveStdio } from '@modelcontextprotocol/server/stdio'
import { onAbort } from '../lib/abort.ts'
import { createMcpServer, type McpServerParts } from './server.ts'

export interface StdioStreams {
  readonly stdin: Readable
  /** Nothing but the protocol may go there. */
  readonly stdout: Writable
}

/** Of one message; a longer one ends the connection. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024

/** Speaks MCP until the host closes `stdin` or `signal` aborts; calls that are under way then are given up. */
export async function serveMcpOnStdio(
  parts: McpServerParts,
  { stdin, stdout }: StdioStreams,
  signal: AbortSignal,
): Promise<void> {
  const transport = new StdioServerTransport(stdin, stdout, { maxBufferSize: MAX_MESSAGE_BYTES })
  const handle = serveStdio(() => createMcpServer({ ...parts, signal }), { transport })
  // Of the library, whose own close it also is: at the end of `stdin`, when `stdout` is gone, and after a message that is too long.
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  const { onclose } = transport
  transport.onclose = () => {
    onclose?.()
    resolve()
  }
  using _interrupt = onAbort(signal, () => resolve())
  await closed
  await handle.close()
}

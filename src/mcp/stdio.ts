import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { StdioServerTransport, serveStdio } from '@modelcontextprotocol/server/stdio'
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
  try {
    if (!stdin.closed) await once(stdin, 'close', { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    await handle.close()
  }
}

import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { EXIT, ExitWith, usageError } from './exit-with.ts'
import type { CliParts } from './parts.ts'
import { holdsBinary, visible } from './visible.ts'

/** Where the head and the body of a target's answer go. Its methods reject with an `ExitWith` when they cannot go there. */
export interface BodySink extends AsyncDisposable {
  head(text: string): Promise<void>
  body(bytes: Uint8Array): Promise<void>
}

/** A file, a pipe, or a terminal, which nothing foreign may give orders to. `output`: a file; `-`: whatever `out` is. */
export async function openBodySink(
  output: string | undefined,
  { out, signal }: Pick<CliParts, 'out' | 'signal'>,
): Promise<BodySink> {
  if (output !== undefined && output !== '-') return await fileSink(output)
  const isShown = out.isTTY === true && output !== '-'
  // Characters may be cut in two.
  const decoder = new TextDecoder()
  const write = async (bytes: string | Uint8Array) => {
    if (out.write(bytes) === false && 'once' in out) await once(out as never, 'drain', { signal })
  }
  return {
    head: (text) => write(isShown ? visible(text) : text),
    async body(bytes) {
      if (isShown && holdsBinary(bytes))
        throw new ExitWith(
          EXIT.failed,
          'The body is binary, and no terminal can show it: -o FILE saves it, -o - writes it all the same',
        )
      await write(isShown ? visible(decoder.decode(bytes, { stream: true })) : bytes)
    },
    async [Symbol.asyncDispose]() {
      if (isShown) await write(decoder.decode())
    },
  }
}

async function fileSink(path: string): Promise<BodySink> {
  const because = (error: unknown) => `Cannot write ${path}: ${error instanceof Error ? error.message : error}`
  const file = await open(path, 'w').catch((error: unknown) => {
    throw usageError(because(error))
  })
  // Such as a disk that is full: another command line would not help.
  const write = async (bytes: string | Uint8Array) => {
    await file.writeFile(bytes).catch((error: unknown) => {
      throw new ExitWith(EXIT.failed, because(error))
    })
  }
  return { head: write, body: write, [Symbol.asyncDispose]: () => file.close() }
}

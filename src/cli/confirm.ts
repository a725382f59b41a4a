import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { onAbort } from '../lib/abort.ts'

const YES = /^y(?:es)?$/i

/**
 * Asks a question of yes or no. No answer, as at the end of the input, is no; other answers are asked for again. Rejects with
 * the signal's reason.
 */
export async function confirm(
  question: string,
  { input, output, signal }: { readonly input: Readable; readonly output: Writable; readonly signal: AbortSignal },
): Promise<boolean> {
  signal.throwIfAborted()
  // Not as a terminal: then Ctrl-C stays a signal.
  const lines = createInterface({ input, terminal: false })
  using _ = onAbort(signal, () => lines.close())
  output.write(`${question} [yes/no] `)
  for await (const line of lines) {
    const answer = line.trim()
    if (YES.test(answer)) return true
    if (/^no?$/i.test(answer)) return false
    output.write('Please answer yes or no: ')
  }
  signal.throwIfAborted()
  return false
}

import { FakeClock } from '../lib/fake-clock.ts'
import { runCli } from './cli.ts'
import type { DemoParts } from './parts.ts'

export interface CliOutcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a command line where nobody sits at a terminal and no service can be made; `parts` take the places of such. */
export async function runTestCli(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  parts: Partial<DemoParts> = {},
): Promise<CliOutcome> {
  const written = { out: '', err: '' }
  const into = (name: 'out' | 'err') => ({
    write: (text: string | Uint8Array) => {
      written[name] += typeof text === 'string' ? text : Buffer.from(text).toString('latin1')
    },
  })
  const notHere = () => Promise.reject(new Error('There is no service in this test'))
  const code = await runCli(argv, {
    ...{ env, out: into('out'), err: into('err') },
    clock: new FakeClock(),
    signal: new AbortController().signal,
    createService: notHere,
    createTestNetwork: notHere,
    boxes: { whyNot: notHere, runInHost: notHere, enter: notHere, createNetwork: notHere },
    ...parts,
  })
  return { code, ...written }
}

import { EXIT, ExitWith } from './exit-with.ts'
import type { YesFlags } from './flags.ts'
import type { CliParts } from './parts.ts'

/** Asks somebody at a terminal whether it shall be done. Throws when it shall not. Scripts have been told to do it. */
export async function confirmed(question: string, flags: YesFlags, { confirm }: CliParts): Promise<void> {
  if (flags.yes || confirm === undefined || (await confirm(question))) return
  throw new ExitWith(EXIT.failed, 'Nothing was done.')
}

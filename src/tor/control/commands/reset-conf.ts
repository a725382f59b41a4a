import { identifier } from '../quote.ts'
import { type CommandSender, request } from '../reply.ts'

/** RESETCONF (control-spec 3.2): gives the options their defaults. */
export async function resetConf(
  control: CommandSender,
  options: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  await request(control, `RESETCONF ${options.map(identifier).join(' ')}`, signal)
}

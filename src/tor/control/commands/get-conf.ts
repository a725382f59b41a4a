import { identifier } from '../quote.ts'
import { type CommandSender, request } from '../reply.ts'
import { unquote } from '../text.ts'

/**
 * GETCONF (control-spec 3.3): the values of each option in order, none for one that is not set, by the name as Tor
 * spells it (`HiddenServiceOptions` gives several names). Rejects with ControlReplyError 552 for an unknown option.
 */
export async function getConf(
  control: CommandSender,
  options: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const reply = await request(control, `GETCONF ${options.map(identifier).join(' ')}`, signal)
  const values = new Map<string, string[]>()
  for (const { text } of reply.lines) {
    const [name = ''] = text.split('=', 1)
    // An option that is not set comes as `Name`, or as `Name=`.
    const value = unquote(text.slice(name.length + 1))
    const others = values.get(name) ?? []
    values.set(name, value === '' ? others : [...others, value])
  }
  return values
}

import { ProtocolError } from '../errors.ts'
import { word } from '../quote.ts'
import { type CommandSender, request } from '../reply.ts'

/**
 * GETINFO (control-spec 3.9): the values of all `keys`, lines separated by LF. Rejects with ControlReplyError 552 when
 * Tor does not know one of them.
 */
export async function getInfo<const Key extends string>(
  control: CommandSender,
  keys: readonly Key[],
  signal: AbortSignal,
): Promise<Readonly<Record<Key, string>>> {
  const reply = await request(control, `GETINFO ${keys.map(word).join(' ')}`, signal)
  const values = new Map<string, string>()
  for (const { text, data } of reply.lines) {
    const [key = ''] = text.split('=', 1)
    values.set(key, data === undefined ? text.slice(key.length + 1) : data.join('\n'))
  }
  return Object.fromEntries(
    keys.map((key) => {
      const value = values.get(key)
      if (value === undefined) throw new ProtocolError(`Cannot GETINFO: the reply lacks ${key}`)
      return [key, value]
    }),
  ) as Record<Key, string>
}

/** The lines of a value; none for an empty one. */
export function infoLines(value: string): readonly string[] {
  return value === '' ? [] : value.split('\n')
}

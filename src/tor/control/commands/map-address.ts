import { ProtocolError } from '../errors.ts'
import { word } from '../quote.ts'
import { type CommandSender, isSuccess, throwRefusal } from '../reply.ts'

/** What became of one mapping. */
export type MapResult =
  | { readonly isMapped: true; readonly from: string; readonly to: string }
  | { readonly isMapped: false; readonly code: number; readonly text: string }

/**
 * MAPADDRESS (control-spec 3.8): streams to `from` go to `to`. `0.0.0.0`, `::0` or `.` as `from` has Tor choose an
 * address, which the result names. The one command that may half succeed: one result for each mapping, in order.
 */
export async function mapAddress(
  control: CommandSender,
  mappings: readonly { readonly from: string; readonly to: string }[],
  signal: AbortSignal,
): Promise<readonly MapResult[]> {
  const pairs = mappings.map(({ from, to }) => `${word(from)}=${word(to)}`)
  const reply = await control.send(`MAPADDRESS ${pairs.join(' ')}`, signal)
  if (reply.lines.length !== mappings.length) {
    throwRefusal('MAPADDRESS', reply)
    throw new ProtocolError(`Cannot MAPADDRESS: ${reply.lines.length} results for ${mappings.length} mappings`)
  }
  return reply.lines.map((line) => {
    if (!isSuccess(line)) return { isMapped: false, code: line.code, text: line.text }
    const [from = ''] = line.text.split('=', 1)
    return { isMapped: true, from, to: line.text.slice(from.length + 1) }
  })
}

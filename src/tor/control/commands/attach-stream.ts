import { identifier } from '../quote.ts'
import { type CommandSender, request } from '../reply.ts'

/**
 * ATTACHSTREAM (control-spec 3.13): puts a stream on a built circuit; circuit `0` has Tor choose. Tor attaches streams
 * itself unless its option `__LeaveStreamsUnattached` is set. Rejects with ControlReplyError 552 (no such stream or
 * circuit), 555 (the stream is connected already) or 551.
 */
export async function attachStream(
  control: CommandSender,
  streamId: string,
  circuitId: string,
  signal: AbortSignal,
): Promise<void> {
  await request(control, `ATTACHSTREAM ${identifier(streamId)} ${identifier(circuitId)}`, signal)
}

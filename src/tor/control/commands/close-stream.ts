import { identifier } from '../quote.ts'
import { type CommandSender, request } from '../reply.ts'

/** RELAY_END reason MISC (tor-spec 6.3): says nothing about why. */
const REASON_MISC = 1

/** CLOSESTREAM (control-spec 3.16). Rejects with ControlReplyError 552 when there is no such stream. */
export async function closeStream(control: CommandSender, streamId: string, signal: AbortSignal): Promise<void> {
  await request(control, `CLOSESTREAM ${identifier(streamId)} ${REASON_MISC}`, signal)
}

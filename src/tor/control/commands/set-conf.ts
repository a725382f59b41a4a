import { identifier, quote } from '../quote.ts'
import { type CommandSender, request } from '../reply.ts'

/** An option and its value; null sets it to 0 or to nothing. An option with several values is listed several times. */
export type Setting = readonly [option: string, value: string | null]

/**
 * SETCONF (control-spec 3.1): all of the settings, or none if Tor refuses one (ControlReplyError 513, 552, 553). Every
 * other value of the options named is lost.
 */
export async function setConf(
  control: CommandSender,
  settings: readonly Setting[],
  signal: AbortSignal,
): Promise<void> {
  await request(control, `SETCONF ${settings.map(formatSetting).join(' ')}`, signal)
}

function formatSetting([option, value]: Setting): string {
  return value === null ? identifier(option) : `${identifier(option)}=${quote(value)}`
}

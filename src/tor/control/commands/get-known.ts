import { ControlReplyError } from '../errors.ts'
import type { CommandSender } from '../reply.ts'
import { getInfo } from './get-info.ts'

/** So many keys fit a line, and their values a message, with room to spare: a microdescriptor may have 40 KB. */
const KEYS_PER_COMMAND = 64
const UNRECOGNIZED = 552

/**
 * GETINFO for any number of keys: yields what Tor knows of some at a time, one command after the other, so that others get
 * their turn and not everything is in memory at once. Keys that Tor does not know are left out.
 */
export async function* getKnown(
  control: CommandSender,
  keys: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<readonly (readonly [key: string, value: string])[], void, undefined> {
  for (let at = 0; at < keys.length; at += KEYS_PER_COMMAND)
    yield await ask(control, keys.slice(at, at + KEYS_PER_COMMAND), signal)
}

/** Tor answers none of a command's keys when it does not know one of them; so they are asked for by halves. */
async function ask(
  control: CommandSender,
  keys: readonly string[],
  signal: AbortSignal,
): Promise<readonly (readonly [key: string, value: string])[]> {
  try {
    return Object.entries(await getInfo(control, keys, signal))
  } catch (error) {
    if (!(error instanceof ControlReplyError) || error.code !== UNRECOGNIZED) throw error
    if (keys.length <= 1) return []
    const half = Math.ceil(keys.length / 2)
    return [...(await ask(control, keys.slice(0, half), signal)), ...(await ask(control, keys.slice(half), signal))]
  }
}

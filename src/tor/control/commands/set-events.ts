import { identifier } from '../quote.ts'
import { type CommandSender, request } from '../reply.ts'
import { getInfo } from './get-info.ts'

export interface Subscription {
  readonly subscribed: readonly string[]
  /** Those that this Tor does not have. */
  readonly missing: readonly string[]
}

/**
 * SETEVENTS (control-spec 3.4): from now on these events and no others. Tor refuses the whole list for one unknown
 * name, so the names that it has are asked first.
 */
export async function setEvents(
  control: CommandSender,
  events: readonly string[],
  signal: AbortSignal,
): Promise<Subscription> {
  const { 'events/names': names } = await getInfo(control, ['events/names'], signal)
  const known = new Set(names.split(' '))
  const subscribed = events.filter((event) => known.has(event))
  await request(control, ['SETEVENTS', ...subscribed.map(identifier)].join(' '), signal)
  return { subscribed, missing: events.filter((event) => !known.has(event)) }
}

import type { ApiClient } from '../client/client.ts'
import type { EventType } from '../domain/events.ts'
import type { Clock } from '../lib/clock.ts'
import { isoTime } from '../lib/iso-time.ts'
import type { RunningBox, TextOutput } from './parts.ts'

/** What happens to workers. */
const SHOWN: readonly EventType[] = [
  'health_changed',
  'desired_changed',
  'recovery_step_ended',
  'recovery_ended',
  'tor_restarted',
  'reboot_ordered',
  'reboot_refused',
  'worker_untrusted',
  'worker_trusted',
  'uplink_suspected',
  'uplink_cleared',
]

const LOOK_EVERY_MS = 5_000

export interface TellOptions {
  readonly api: ApiClient
  readonly boxes: readonly RunningBox[]
  readonly out: TextOutput
  readonly clock: Clock
}

/** Tells what happens to workers, and what their boxes say of themselves, a line each, until the signal aborts. */
export async function tellEvents(options: TellOptions, signal: AbortSignal): Promise<void> {
  await Promise.all([tellService(options, signal), ...options.boxes.map((box) => tellBox(box, options, signal))])
}

async function tellService({ api, out }: TellOptions, signal: AbortSignal): Promise<void> {
  try {
    for await (const news of api.watchEvents({ type: SHOWN }, signal))
      if (news.type === 'event') tell(out, news.event.at, news.event.text)
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** The verdict of its own health check, whenever it is another one. */
async function tellBox({ n, name }: RunningBox, { api, out, clock }: TellOptions, signal: AbortSignal): Promise<void> {
  let last: string | undefined
  while (!signal.aborted) {
    const node = (await api.worker(n, signal).catch(() => undefined))?.box?.node
    if (node && node.state !== last) {
      const why = node.reason === null ? '' : ` (${node.reason})`
      tell(out, isoTime(clock.now()), `${name} says of itself: ${node.state}${why}`)
      last = node.state
    }
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => {})
  }
}

function tell(out: TextOutput, at: string, text: string): void {
  out.write(`${at.slice(11, 19)}  ${text}\n`)
}

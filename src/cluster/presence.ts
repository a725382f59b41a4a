/** Who else is there, and what they tell of themselves every second. */
import type { Json } from '../lib/json.ts'

export interface Member {
  /** Its name in the configuration, such as `gw1`. */
  readonly replica: string
  /** Of this run of it: a replica that was restarted is another member. */
  readonly run: string
  readonly version: string
  /** Epoch ms. */
  readonly startedAt: number
}

/**
 * The replicas that live. A member goes 3 s after its last beat; at once when it says goodbye; and never while the store is down,
 * since nobody's beats come then. Everything that is told is sealed, so only who has the pool's secret can say or read it.
 */
export interface Presence extends AsyncDisposable {
  readonly self: Member
  /** This one among them, by name. The same array as long as nothing changes. */
  members(): readonly Member[]
  /** Told when members come or go. Dispose to stop listening. */
  onChange(listener: () => void): Disposable
  /** What goes with each beat, once a second. `undefined`: nothing to tell. Dispose to tell no more. */
  report(topic: string, make: () => Json | undefined): Disposable
  /** At once; lost when the store is down. */
  tell(topic: string, payload: Json): void
  /** Hears what other members report or tell, never its own. Payloads of other versions may look different: check them. */
  onReport(topic: string, listener: (from: Member, payload: Json) => void): Disposable
}

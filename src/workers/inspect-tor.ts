import { parseUtcTime } from '../lib/iso-time.ts'
import type { TorControl } from '../tor/control/client.ts'
import type { Circuit } from '../tor/control/events/circuit.ts'
import type { Guard } from '../tor/control/events/guard.ts'
import type { InspectedCircuit, InspectedGuard, WorkerInspection } from './driver.ts'
import type { RelayPlace } from './stream-watch.ts'

/**
 * Asks Tor about itself, all at once. A question that it refuses or does not answer before `signal` aborts stays open.
 * `isTaken`: whether a circuit belongs to an identity. `places`: where relays are.
 */
export async function inspectTor(
  control: TorControl,
  isTaken: (circuit: Circuit) => boolean,
  places: RelayPlaces,
  signal: AbortSignal,
): Promise<Omit<WorkerInspection, 'clockSkew'>> {
  const [circuits, guards, traffic, version, consensus, socksListeners] = await Promise.all([
    told(control.circuits(signal).then((all) => placed(all, places, signal))),
    told(control.guards(signal)),
    told(control.getInfo(['traffic/read', 'traffic/written'], signal)),
    told(control.getInfo(['version'], signal)),
    told(control.getInfo(['consensus/valid-after', 'consensus/fresh-until', 'consensus/valid-until'], signal)),
    told(control.listeners('socks', signal)),
  ])
  return {
    circuits: circuits?.map((circuit) => inspectedCircuit(circuit, isTaken(circuit))),
    guards: guards?.map(inspectedGuard),
    traffic: traffic && {
      readBytes: Number(traffic['traffic/read']),
      writtenBytes: Number(traffic['traffic/written']),
    },
    torVersion: version?.version,
    consensus: consensus && validityOf(consensus),
    socksListeners,
  }
}

function told<T>(answer: Promise<T>): Promise<T | undefined> {
  return answer.catch(() => undefined)
}

/** Where a relay is; undefined when Tor does not know it, or has no time to tell. Never rejects. */
export type RelayPlaces = (fingerprint: string, signal: AbortSignal) => Promise<RelayPlace | undefined>

/** With the places of the relays, as far as they are told before `signal` aborts: circuits share most of their relays. */
async function placed(
  circuits: readonly Circuit[],
  places: RelayPlaces,
  signal: AbortSignal,
): Promise<readonly Circuit[]> {
  const fingerprints = new Set(circuits.flatMap(({ path }) => path.map(({ fingerprint }) => fingerprint)))
  const known = new Map<string, RelayPlace>()
  await Promise.all(
    [...fingerprints].map(async (fingerprint) => {
      const place = await places(fingerprint, signal)
      if (place !== undefined) known.set(fingerprint, place)
    }),
  )
  return circuits.map((circuit) => ({
    ...circuit,
    path: circuit.path.map((relay) => ({ ...relay, ...known.get(relay.fingerprint) })),
  }))
}

function inspectedCircuit(circuit: Circuit, isTaken: boolean): InspectedCircuit {
  const { id, status, purpose, timeCreated, path } = circuit
  return { id, status, purpose, path, createdAt: parseUtcTime(timeCreated ?? ''), isTaken }
}

function inspectedGuard({ relay, status, since }: Guard): InspectedGuard {
  return { ...relay, status, since: parseUtcTime(since ?? '') }
}

/** Tor answers with empty values while it has no consensus. */
function validityOf(
  times: Readonly<Record<`consensus/${'valid-after' | 'fresh-until' | 'valid-until'}`, string>>,
): WorkerInspection['consensus'] {
  const validAfter = parseUtcTime(times['consensus/valid-after'])
  const freshUntil = parseUtcTime(times['consensus/fresh-until'])
  const validUntil = parseUtcTime(times['consensus/valid-until'])
  if (validAfter === undefined || freshUntil === undefined || validUntil === undefined) return undefined
  return { validAfter, freshUntil, validUntil }
}

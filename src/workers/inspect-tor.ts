import { parseUtcTime } from '../lib/iso-time.ts'
import type { TorControl } from '../tor/control/client.ts'
import type { Circuit } from '../tor/control/events/circuit.ts'
import type { Guard } from '../tor/control/events/guard.ts'
import type { InspectedCircuit, InspectedGuard, WorkerInspection } from './driver.ts'

/**
 * Asks Tor about itself, all at once. A question that it refuses or does not answer before `signal` aborts stays open.
 * `isTaken`: whether a circuit belongs to an identity.
 */
export async function inspectTor(
  control: TorControl,
  isTaken: (circuit: Circuit) => boolean,
  signal: AbortSignal,
): Promise<Omit<WorkerInspection, 'clockSkew'>> {
  const [circuits, guards, traffic, version, consensus, socksListeners] = await Promise.all([
    told(control.circuits(signal)),
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

import { z } from 'zod'
import { isoTime } from '../../lib/iso-time.ts'
import type { CircuitView, HostView, InspectionView, WorkerView } from '../views.ts'
import { count, instant } from './common.ts'
import { toWorkerBody, workerBody } from './worker.ts'

const relay = { nickname: z.string().nullable(), fingerprint: z.string() }
const seconds = z.int()

/** A worker, layer by layer, with what only its Tor can tell. */
export const inspectedWorkerBody = workerBody
  .extend({
    circuits: z
      .array(
        z.object({
          id: z.string(),
          status: z.string().describe('As Tor says it: `BUILT`, `EXTENDED`, ...'),
          purpose: z.string().nullable().describe('As Tor says it: `GENERAL`, `HS_CLIENT_REND`, ...'),
          path: z
            .array(
              z.object({
                ...relay,
                address: z.string().nullable().describe('Of the relay in the consensus.'),
                country: z
                  .string()
                  .nullable()
                  .describe("Where that is, by Tor's own GeoIP database: two lower-case letters."),
              }),
            )
            .describe('Guard first, exit last; as far as it is built.'),
          age_s: seconds.nullable(),
        }),
      )
      .nullable(),
    guards: z
      .array(z.object({ ...relay, status: z.string().describe('As Tor says it: `up`, `down`, ...') }))
      .nullable(),
    traffic: z
      .object({ read_bytes: count, written_bytes: count })
      .nullable()
      .describe("Since Tor's start, all that Tor needs for itself included."),
    clock_skew_s: z.number().nullable().describe("Positive when Tor's clock is ahead. Null when Tor noticed nothing."),
    consensus: z
      .object({ valid_until: instant, age_s: seconds })
      .nullable()
      .describe('What Tor knows of the network. Past `valid_until` it is of no use.'),
    box: z
      .object({
        ssh: z.string().describe('`connected`, or why there is no connection.'),
        tunnel: z
          .object({
            handshake_age_s: seconds
              .nullable()
              .describe('Since the latest handshake of WireGuard; null before the first.'),
            problems: z.array(z.string()),
          })
          .nullable(),
        node: z
          .object({ state: z.string(), reason: z.string().nullable(), age_s: seconds })
          .nullable()
          .describe("What the box's own health script wrote last, and how long ago: a statement about the past."),
      })
      .nullable()
      .describe('The way to the box and what it says of itself. Null for a worker that has none.'),
    not_told: z
      .string()
      .nullable()
      .describe('Why `circuits`, `guards`, `traffic` or `consensus` is null, when one is: Tor is given 1 s to tell.'),
  })
  .meta({ id: 'InspectedWorker' })

export type InspectedWorkerBody = z.output<typeof inspectedWorkerBody>

/** `inspection`: what Tor told, or why it told nothing. `now`: the wall-clock time, for ages. */
export function toInspectedWorkerBody(
  worker: WorkerView,
  inspection: InspectionView | string,
  now: number,
): InspectedWorkerBody {
  const told: Partial<InspectionView> = typeof inspection === 'string' ? {} : inspection
  const { circuits, guards, traffic, clockSkew, consensus, host } = told
  const missing = Object.entries({ circuits, guards, traffic, consensus }).flatMap(([name, value]) =>
    value === undefined ? [name] : [],
  )
  const notTold = missing.length === 0 ? null : `Tor did not tell: ${missing.join(', ')}`
  const ageS = (since: number) => Math.round((now - since) / 1_000)
  const toCircuitBody = ({ id, status, purpose, path, createdAt }: CircuitView) => ({
    id,
    status,
    purpose: purpose ?? null,
    path: path.map(({ nickname, fingerprint, address, country }) => ({
      nickname: nickname ?? null,
      fingerprint,
      address: address ?? null,
      country: country ?? null,
    })),
    age_s: createdAt === undefined ? null : ageS(createdAt),
  })
  return {
    ...toWorkerBody(worker),
    circuits: circuits?.map(toCircuitBody) ?? null,
    guards:
      guards?.map(({ nickname, fingerprint, status }) => ({ nickname: nickname ?? null, fingerprint, status })) ?? null,
    traffic: traffic ? { read_bytes: traffic.readBytes, written_bytes: traffic.writtenBytes } : null,
    clock_skew_s: clockSkew?.seconds ?? null,
    consensus: consensus ? { valid_until: isoTime(consensus.validUntil), age_s: ageS(consensus.validAfter) } : null,
    box: host ? toBoxBody(host) : null,
    not_told: typeof inspection === 'string' ? inspection : notTold,
  }
}

function toBoxBody({ ssh, tunnel, node }: HostView): InspectedWorkerBody['box'] {
  const seconds = (ms: number) => Math.round(ms / 1_000)
  return {
    ssh,
    tunnel: tunnel
      ? {
          handshake_age_s: tunnel.handshakeAgeMs === undefined ? null : seconds(tunnel.handshakeAgeMs),
          problems: [...tunnel.problems],
        }
      : null,
    node: node ? { state: node.state, reason: node.reason ?? null, age_s: seconds(node.ageMs) } : null,
  }
}

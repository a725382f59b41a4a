import type { InspectedWorkerBody } from '../api/schemas/inspected-worker.ts'
import type { ApiClient } from '../client/client.ts'
import { tunnelNames } from '../tunnel/spec.ts'
import type { RunningBox } from './parts.ts'
import { formatTable } from './table.ts'

const HEADER = ['worker', 'is', 'this machine', 'tunnel', 'handshake', 'box', '', 'its health check says']

/** The workers, their tunnels and their boxes as they are now, a row each. */
export async function drawBoxes(api: ApiClient, boxes: readonly RunningBox[], signal: AbortSignal): Promise<string> {
  const rows = await Promise.all(boxes.map(async (box) => rowOf(box, await api.worker(box.n, signal))))
  return formatTable(HEADER, rows)
}

function rowOf({ n, name, address }: RunningBox, { id, state, box }: InspectedWorkerBody): string[] {
  const { interfaceName, hostAddress, boxAddress } = tunnelNames(n)
  const handshake = box?.tunnel?.handshake_age_s
  const node = box?.node
  return [
    id,
    state,
    hostAddress,
    `══ ${interfaceName} ══`,
    typeof handshake === 'number' ? `${handshake} s ago` : 'never',
    boxAddress,
    `${name} ${address}`,
    node ? `${node.state}, ${node.age_s} s ago` : 'nothing yet: it is run every minute',
  ]
}

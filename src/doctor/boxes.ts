import { type BoxFile, readBoxes } from '../boxes/box-file.ts'
import type { ServiceConfig } from '../config/read-config.ts'
import { tunnelNames } from '../tunnel/spec.ts'
import type { Tunnels } from '../tunnel/tunnels.ts'
import { type Finding, messageOf, ok, unchecked, warning, worst, wrong } from './finding.ts'

/** The boxes of a state directory, or what is wrong with their files. */
export function findBoxes(state: string): { readonly boxes: readonly BoxFile[]; readonly faults: readonly Finding[] } {
  try {
    return { boxes: readBoxes(state), faults: [] }
  } catch (error) {
    return { boxes: [], faults: [wrong('boxes', messageOf(error), 'Mend the file, or: cbtor workers install')] }
  }
}

/** Boxes that nobody uses. One that is used and has no file is a fault of the configuration. */
export function checkBoxFiles(boxes: readonly BoxFile[], { workers }: ServiceConfig): readonly Finding[] {
  if (boxes.length === 0) return []
  const unused = boxes.filter(({ id }) => !workers.some((worker) => worker.kind === 'openwrt' && worker.id === id))
  return worst(
    unused.map(({ id }) =>
      warning(
        'boxes',
        `${id} is installed, and no worker of the configuration`,
        `Write { kind: openwrt, id: ${id} } into workers, or: cbtor workers uninstall ${id}`,
      ),
    ),
    ok('boxes', boxes.map(({ id }) => id).join(', ')),
  )
}

/** `open`: gives access to the tunnels of this machine, or rejects with why there is none. */
export async function checkTunnels(
  boxes: readonly BoxFile[],
  open: () => Promise<Pick<Tunnels, 'status'>>,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  if (boxes.length === 0) return []
  let tunnels: Pick<Tunnels, 'status'>
  try {
    tunnels = await open()
  } catch (error) {
    signal.throwIfAborted()
    return [unchecked('tunnels', messageOf(error), 'Run this as root, or as one who may use the tunnel helper')]
  }
  const found: Finding[] = []
  for (const { id, tunnel } of boxes) {
    const name = `${id}: tunnel`
    try {
      const { problems, handshakeAgeMs = 0 } = await tunnels.status(tunnel.n, signal)
      found.push(
        ...worst(
          problems.map((problem) => wrong(name, problem, `cbtor tunnel up ${id}; see: cbtor tunnel status`)),
          ok(
            name,
            `${tunnelNames(tunnel.n).interfaceName} is up; the box answered ${Math.round(handshakeAgeMs / 1000)} s ago`,
          ),
        ),
      )
    } catch (error) {
      signal.throwIfAborted()
      found.push(unchecked(name, messageOf(error)))
    }
  }
  return found
}

import { readBoxes, removeBoxFile } from '../boxes/box-file.ts'
import { installBox } from '../boxes/install/install-box.ts'
import { isListening } from '../tunnel/helper/client.ts'
import { socketOfService } from '../tunnel/helper/protocol.ts'
import type { CliParts, RunningBox, RunningBoxNetwork } from './parts.ts'

/** Where test boxes are, by RFC 5737. */
const DOCUMENTATION_NETWORK = '192.0.2.'

/** Of the worker on box `n`. */
export function idOf(n: number): string {
  return `tor0${n}`
}

/** Throws when somebody else has boxes in the directory. A demo's own are of addresses that no real box has. */
export async function refuseState(state: string, { clock, signal }: CliParts): Promise<void> {
  const cannot = `Cannot use the state directory ${state}`
  if (await isListening(socketOfService(state), clock, signal)) throw new Error(`${cannot}: another service uses it`)
  const real = readBoxes(state).filter(({ ssh }) => !ssh.host.startsWith(DOCUMENTATION_NETWORK))
  if (real.length === 0) return
  throw new Error(
    `${cannot}: it is of real boxes (${real.map(({ id }) => id).join(', ')}). Give another one by --state`,
  )
}

/** All of them at the same time. What is written down of them goes when disposed, as they do. */
export async function installBoxes(
  { network, boxes, clientKeyFile }: RunningBoxNetwork,
  state: string,
  { clock, signal }: CliParts,
  onStep: (text: string) => void,
): Promise<AsyncDisposable> {
  await using undo = new AsyncDisposableStack()
  const forget = () => {
    for (const { n } of boxes) removeBoxFile(state, idOf(n))
  }
  forget() // those of an earlier demo that was killed
  undo.defer(forget)
  const stopped = new AbortController()
  const both = AbortSignal.any([signal, stopped.signal])
  const { host: onion } = new URL(network.urls.onion)
  const installations = boxes.map(async (box) => {
    const { n, address, hostKey } = box
    const id = idOf(n)
    const request = {
      ...{ id, hostKey, clock, tunnel: n, keyFile: clientKeyFile, stateDirectory: state },
      destination: { host: address, port: 22, user: 'root' },
      onStep: (name: string) => onStep(`boxes: ${id}: ${name}`),
    }
    try {
      await installBox(request, both)
      // The sites that it comes with are not on the private network.
      await box.read('cat >/etc/tor/onion-test-sites.txt', `${onion}\n`)
    } catch (error) {
      stopped.abort(error)
      throw error
    }
  })
  // Each has ended before what it was written down in goes.
  const failed = (await Promise.allSettled(installations)).find(({ status }) => status === 'rejected')
  if (failed?.status === 'rejected') throw stopped.signal.aborted ? stopped.signal.reason : failed.reason
  const owned = undo.move()
  return { [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** Their health checks run now, for the first time; from then on it is each minute. */
export async function checkThemselves(boxes: readonly RunningBox[]): Promise<void> {
  await Promise.all(boxes.map((box) => box.read('/usr/local/bin/tor-health-check.sh || true')))
}

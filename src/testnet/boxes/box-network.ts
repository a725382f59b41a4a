import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { run } from '../inside/run.ts'
import { TorNetwork } from '../network.ts'
import type { Progress } from '../protocol.ts'
import type { TestBox } from './box.ts'
import { BoxRack } from './rack.ts'
import { BASE_PROGRAMS } from './rootfs-base.ts'
import { PACKAGED } from './rootfs-packages.ts'

export interface BoxNetworkOptions {
  readonly latencyMs?: number
  readonly clock?: Clock
  readonly onProgress?: (progress: Progress) => void
}

/** What the two tell of, in counts of progress: how many of the whole. */
const NETWORK_STEPS = 6
const RACK_STEPS = 3

/** A private Tor network and four boxes on it, for whom this network namespace is the gateway machine. See `BoxRack`. */
export class BoxNetwork implements AsyncDisposable {
  readonly network: TorNetwork
  readonly boxes: readonly TestBox[]
  readonly clientKeyFile: string
  readonly #parts: AsyncDisposable

  private constructor(network: TorNetwork, rack: BoxRack, parts: AsyncDisposable) {
    this.network = network
    this.boxes = rack.boxes
    this.clientKeyFile = rack.clientKeyFile
    this.#parts = parts
  }

  /** Resolves when every box answers SSH. Rejects as `TorNetwork` and `BoxRack` do, leaving nothing behind. */
  static async create(options: BoxNetworkOptions, signal: AbortSignal): Promise<BoxNetwork> {
    const { latencyMs, clock = systemClock, onProgress = () => {} } = options
    await using parts = new AsyncDisposableStack()
    const building = {
      ...(latencyMs !== undefined && { latencyMs }),
      clock,
      onProgress: ({ done, total, text }: Progress) =>
        onProgress({ done, total: total + RACK_STEPS, text: `private Tor network: ${text}` }),
    }
    const network = parts.use(await TorNetwork.create(building, signal))
    const { directory } = network
    let done = NETWORK_STEPS
    const wiring = {
      ...{ directory, clock },
      onProgress: (text: string) =>
        onProgress({ done: ++done, total: NETWORK_STEPS + RACK_STEPS, text: `boxes: ${text}` }),
    }
    const rack = parts.use(await BoxRack.create(network, wiring, signal))
    return new BoxNetwork(network, rack, parts.move())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts[Symbol.asyncDispose]()
  }
}

const SYSTEM_FOLDERS = ['/usr/sbin', '/sbin', '/usr/bin', '/bin']
const NAMESPACES = ['--net', '--mount', '--pid', '--fork', '--mount-proc']
const SYSTEM_OF_A_BOX = fileURLToPath(new URL('../../../test/openwrt/rootfs', import.meta.url))
const HOST_PROGRAMS = ['unshare', 'nsenter', 'setpriv', 'mount', 'ip', 'sysctl', 'dropbearconvert', 'openssl']

/** Undefined when boxes can be had on this machine, else what is missing and what to do about it, a sentence. */
export async function whyNoBoxes(signal: AbortSignal): Promise<string | undefined> {
  if (process.getuid?.() !== 0)
    return 'it takes root, as boxes have network devices and file systems of their own. Run it as root, such as by sudo'
  const missing: string[] = []
  for (const name of new Set([...HOST_PROGRAMS, ...BASE_PROGRAMS, ...PACKAGED]))
    if (!(await isInstalled(name))) missing.push(name)
  if (missing.length > 0)
    return `this machine has no ${missing.join(', no ')}. Run script/setup, which installs what boxes are made of`
  if (!(await exists(SYSTEM_OF_A_BOX)))
    return `there is no ${SYSTEM_OF_A_BOX}, of which boxes are made. Run it in a checkout of CBTOR's source`
  try {
    await run(['unshare', ...NAMESPACES, '--', 'true'], '', signal)
    return undefined
  } catch (error) {
    signal.throwIfAborted()
    const why = error instanceof Error ? error.message : String(error)
    return `this machine lets us make no namespaces: ${why}. In a container, start it with more rights (--privileged)`
  }
}

async function isInstalled(name: string): Promise<boolean> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...SYSTEM_FOLDERS]
  for (const folder of new Set(folders))
    if (folder !== '' && (await exists(join(folder, name), constants.X_OK))) return true
  return false
}

async function exists(path: string, mode = constants.F_OK): Promise<boolean> {
  return await access(path, mode).then(
    () => true,
    () => false,
  )
}

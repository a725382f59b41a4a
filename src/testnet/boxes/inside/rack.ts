import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '../../../lib/clock.ts'
import { run } from '../../inside/run.ts'
import { boxName, FEED_PORT, ROUTER_ADDRESS } from '../plan.ts'
import type { BoxShape, PowerNews, RackFacts, RackShape } from '../protocol.ts'
import { boxFiles, buildRootfs, type Rootfs } from '../rootfs.ts'
import { createClientKey, createKey, type DropbearKey } from './keys.ts'
import { dropOldLayers, touchLayers } from './layers.ts'
import { type FlashFile, Machine } from './machine.ts'
import { inNamespace, Wires } from './wires.ts'

const HOST_KEY_FILE = '/etc/dropbear/dropbear_ed25519_host_key'

export interface RackOptions {
  readonly shape: RackShape
  /** Of the rack's own. Outsiders see the client's key in it. */
  readonly directory: string
  readonly clock: Clock
  onProgress(text: string): void
  onPower(news: PowerNews): void
}

/** The rack, seen from inside: cables, boxes and the package feed. */
export class Rack implements AsyncDisposable {
  readonly facts: RackFacts
  readonly wires: Wires
  readonly #machines: ReadonlyMap<number, Machine>
  readonly #parts: AsyncDisposable

  private constructor(facts: RackFacts, wires: Wires, machines: ReadonlyMap<number, Machine>, parts: AsyncDisposable) {
    this.facts = facts
    this.wires = wires
    this.#machines = machines
    this.#parts = parts
  }

  /** Resolves when every box has been switched on and its system has taken over. */
  static async create(options: RackOptions, signal: AbortSignal): Promise<Rack> {
    const { shape, directory, clock, onProgress } = options
    await using parts = new AsyncDisposableStack()

    // What lies here is memory, is seen by us alone, and is gone with the last of us.
    const inner = join(directory, 'inner')
    await mkdir(inner)
    await run(['mount', '-t', 'tmpfs', '-o', 'mode=700', 'cbtor-rack', inner], '', signal)
    parts.defer(() => unmount(inner))

    const { networkPid, relays } = shape
    const wires = parts.use(await Wires.lay({ directory: inner, networkPid, relays }, signal))
    // The outside's processes are in the /proc that we came with; ours are in one of our own.
    await run(['mount', '-t', 'proc', 'proc', '/proc'], '', signal)
    onProgress('the host is connected')

    await dropOldLayers(shape.layers, clock.now())
    const rootfs = await buildRootfs({ directory: shape.layers }, signal)
    await touchLayers(dirname(rootfs.feed), clock.now())
    onProgress('the system is built')
    parts.use(serveFeed(wires.router, rootfs.feed))

    const client = await createClientKey(directory, signal)
    const machines = new Map<number, Machine>()
    const hostKeys: string[] = []
    for (const box of shape.boxes) {
      const own = join(inner, boxName(box.n))
      await mkdir(own)
      const hostKey = await createKey(join(own, 'host_key'), signal)
      hostKeys.push(hostKey.fingerprint)
      await wires.layTo(box.n, signal)
      const files = await flashFiles(box, shape, hostKey, client.publicKey)
      const machine = await Machine.create(machineOptions(options, box, own, rootfs, wires), files, signal)
      machines.set(box.n, parts.use(machine))
    }
    await Promise.all([...machines.values()].map((machine) => machine.powerOn()))
    onProgress('the boxes are on')
    const facts = { clientKeyFile: client.file, clientPublicKey: client.publicKey, hostKeys }
    return new Rack(facts, wires, machines, parts.move())
  }

  machine(n: number): Machine {
    const machine = this.#machines.get(n)
    if (!machine) throw new Error(`There is no ${boxName(n)} in the rack`)
    return machine
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts[Symbol.asyncDispose]()
  }
}

function machineOptions(options: RackOptions, box: BoxShape, directory: string, rootfs: Rootfs, wires: Wires) {
  const { shape, clock, onPower } = options
  const { bootDelayMs, tmpMb, flashMb } = shape
  const lower = rootfs.lower(box)
  return { n: box.n, directory, lower, wires, clock, bootDelayMs, tmpMb, flashMb, onPower }
}

/** What makes a box that box, and a member of this rack. */
async function flashFiles(
  { n }: BoxShape,
  { clientTorrc, geoipFile }: RackShape,
  hostKey: DropbearKey,
  authorizedKey: string,
): Promise<FlashFile[]> {
  const geoip = await readFile(geoipFile, 'utf8')
  const files = await boxFiles({ hostName: boxName(n), authorizedKey, clientTorrc, geoip })
  return [...files, { path: HOST_KEY_FILE, content: await readFile(hostKey.file), mode: 0o600 }]
}

/** Packages for the boxes, from the router's address. */
function serveFeed(router: string, feed: string): AsyncDisposable {
  const server = ['busybox', 'httpd', '-f', '-p', `${ROUTER_ADDRESS}:${FEED_PORT}`, '-h', feed]
  const [program = '', ...args] = [...inNamespace(router), ...server]
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = once(child, 'close').catch(() => {})
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

async function unmount(path: string): Promise<void> {
  await run(['umount', '--lazy', path], '', new AbortController().signal).catch(() => {})
}

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { Identity } from '../../src/domain/identity.ts'
import type { Target } from '../../src/domain/worker.ts'
import { abortable } from '../../src/lib/abort.ts'
import type { ConnectOptions, WorkerConnection, WorkerHost } from '../../src/workers/driver.ts'
import { FakeDriver } from '../../src/workers/fake/fake-driver.ts'
import type { FromWorld, ToWorld, WorkerState } from './words.ts'

/** Of checks of workers; every other name is a site of the world. */
export const CHECK_HOST = 'check.cbtor.test'

/** What an order of the ladder says beside what it is. */
interface Fenced {
  readonly fence?: number | undefined
  readonly isForced?: boolean
}

/** A replica's connection to the world. */
export class WorldLink implements Disposable {
  readonly sites: string
  readonly #socket: Socket
  readonly #workers = new Map<string, (state: WorkerState) => void>()
  readonly #states = new Map<string, WorkerState>()
  readonly #orders = new Map<number, PromiseWithResolvers<void>>()
  #last = 0

  static async open(directory: string, replica: string): Promise<WorldLink> {
    const socket = connect(`${directory}/world.sock`)
    await once(socket, 'connect')
    return new WorldLink(socket, `${directory}/site.sock`, replica)
  }

  private constructor(socket: Socket, sites: string, replica: string) {
    this.#socket = socket
    this.sites = sites
    createInterface(socket).on('line', (line) => this.#hear(JSON.parse(line) as FromWorld))
    this.#tell({ type: 'hello', replica })
  }

  stateOf(worker: string): WorkerState {
    return this.#states.get(worker) ?? 'well'
  }

  onState(worker: string, listener: (state: WorkerState) => void): void {
    this.#workers.set(worker, listener)
  }

  checked(worker: string): void {
    this.#tell({ type: 'checked', worker })
  }

  /** Resolves once the box has done it. It does so whether or not anybody waits. */
  async order(
    step: 'restart' | 'reboot',
    worker: string,
    fence: number | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const id = ++this.#last
    const done = Promise.withResolvers<void>()
    this.#orders.set(id, done)
    this.#tell({ type: 'order', id, step, worker, fence })
    try {
      await abortable(done.promise, signal)
    } finally {
      this.#orders.delete(id)
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }

  #hear(told: FromWorld): void {
    if (told.type === 'done') {
      const order = this.#orders.get(told.id)
      if (told.error === undefined) order?.resolve()
      else order?.reject(new Error(told.error))
      return
    }
    this.#states.set(told.worker, told.state)
    this.#workers.get(told.worker)?.(told.state)
  }

  #tell(told: ToWorld): void {
    this.#socket.write(`${JSON.stringify(told)}\n`)
  }
}

/** What a replica has of a box: as the world says that it is. */
export class WorldWorker extends FakeDriver {
  readonly #world: WorldLink
  readonly host: WorkerHost
  /** Resolves when it is in another state. */
  #turned = Promise.withResolvers<void>()

  constructor(id: string, world: WorldLink) {
    super({ id, targets: targetsOf(id, world), exits: [] })
    this.#world = world
    this.host = this.#hostOf()
    Object.defineProperty(this, 'kind', { value: 'openwrt' })
    world.onState(id, (state) => this.#become(state))
  }

  override async start(signal: AbortSignal): Promise<void> {
    const state = this.#world.stateOf(this.id)
    if (state === 'dead') throw new Error(`Cannot turn to the Tor of ${this.id}: it does not run`)
    if (state === 'hung') {
      await abortable(this.#turned.promise, signal)
      return await this.start(signal)
    }
    await super.start(signal)
    // What it was when the gateway was started is so all the same.
    this.blackhole(this.#world.stateOf(this.id) === 'cut')
  }

  /** All hosts are sites of the world. */
  override async connect(
    target: Target,
    identity: Identity,
    signal: AbortSignal,
    options?: ConnectOptions,
  ): Promise<WorkerConnection> {
    const host = target.host === CHECK_HOST ? CHECK_HOST : 'site.cbtor.test'
    return await super.connect({ host, port: 80 }, identity, signal, options)
  }

  #become(state: WorkerState): void {
    this.#turned.resolve()
    this.#turned = Promise.withResolvers<void>()
    this.blackhole(state === 'cut')
    if (state === 'hung') this.freeze()
    else this.thaw()
    if (state === 'dead') this.kill('its Tor does not answer any more')
    if (state === 'well') super.start(new AbortController().signal).catch(() => {})
  }

  #hostOf(): WorkerHost {
    const order = (step: 'restart' | 'reboot', options: Fenced, signal: AbortSignal) =>
      this.#world.order(step, this.id, options.fence, signal)
    return {
      reach: async () => {},
      nodeStatus: async () => undefined,
      greetSocks: async (signal) => {
        const state = this.#world.stateOf(this.id)
        if (state === 'dead') throw new Error('the connection was refused')
        if (state === 'hung') await abortable(new Promise<never>(() => {}), signal)
      },
      restartTor: (options: Fenced, signal) => order('restart', options, signal),
      awaitTor: async () => {},
      reconnectTunnel: async () => {},
      reattach: (signal) => this.start(signal),
      reboot: (signal, fence) => order('reboot', { fence }, signal),
      inspect: async () => ({ ssh: 'connected', tunnel: undefined, node: undefined }),
    }
  }
}

function targetsOf(id: string, world: WorldLink): ReadonlyMap<string, (socket: Socket) => void> {
  const toSite = (far: Socket) => {
    const near = connect(world.sites)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => {}).on('close', () => other.destroy())
      one.pipe(other)
    }
  }
  const check = (far: Socket) => {
    far.once('data', () => {
      world.checked(id)
      far.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok')
    })
  }
  return new Map([
    [`${CHECK_HOST}:80`, check],
    ['site.cbtor.test:80', toSite],
  ])
}

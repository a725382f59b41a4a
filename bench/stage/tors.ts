import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TorNetwork } from '../../src/testnet/network.ts'
import { torrc } from '../../src/tor/torrc/torrc.ts'
import { Cbtor, type CbtorPorts } from './cbtor.ts'
import { lineOf, type Room, type Started } from './room.ts'

const COUNT = 4

/** Of all four, in their order. */
export interface TorPorts {
  readonly socks: readonly number[]
  readonly httpTunnel: readonly number[]
}

/** What everybody shares: tors of a CBTOR service, which have ports for the others, too. */
export interface Tors {
  readonly cbtor: Cbtor
  readonly ports: TorPorts
  pids(): Promise<readonly number[]>
}

export interface TorsOptions {
  readonly directory: string
  readonly name?: string
  readonly ports?: CbtorPorts
  readonly nodeFlags?: readonly string[]
  /** The first tor's SOCKS port; the others' come next, and their HTTPTunnelPorts a hundred further. */
  readonly firstSocks?: number
  /** The first tor's number among the clients of the network. */
  readonly firstClient?: number
  /** Fields of the configuration, in the place of those that are here. */
  readonly config?: Readonly<Record<string, unknown>>
}

/** Resolves once all four work. */
export async function startTors(room: Room, network: TorNetwork, options: TorsOptions): Promise<Tors> {
  const { directory, name = 'cbtor', nodeFlags = [], firstSocks = 9_051, firstClient = 1 } = options
  const ports = torPorts(firstSocks)
  const cbtor = await Cbtor.start(
    room,
    {
      ...{ name, directory, nodeFlags, ports: options.ports ?? { api: 32_211, http: 8_118, socks: 1_080 } },
      config: {
        tor: { command: ['tor'] },
        workers: four((n) => ({
          ...{ kind: 'local', id: `tor0${n + 1}` },
          torrc: [
            ...network.clientTorrc({ client: firstClient + n }),
            ...[`SocksPort 127.0.0.1:${ports.socks[n]}`, tunnelPort(ports, n)],
          ],
        })),
        // The relays are all ours, and no harm comes to them; there is one exit in each of four countries.
        circuits: { rate: 10_000, burst: 10_000 },
        exits: { min_exits: 1, min_families: 1 },
        targets: { allow_reserved: ['203.0.113.0/24', '198.51.100.0/24'], ca_file: network.caFile },
        checks: { clearnet: [`${network.urls.check}/api/ip`], onion: [`${network.urls.onion}/`] },
        ...options.config,
      },
    },
    COUNT,
  )
  return {
    ...{ cbtor, ports },
    pids: async () => {
      const { workers } = JSON.parse(await cbtor.get('/api/v1/tor/workers')) as WorkersAnswer
      return workers.flatMap(({ process }) => process.pid ?? [])
    },
  }
}

interface WorkersAnswer {
  readonly workers: readonly { readonly process: { readonly pid: number | null } }[]
}

export interface PlainTorsOptions {
  readonly directory: string
  readonly firstSocks?: number
  readonly firstClient?: number
}

export interface PlainTors {
  readonly tors: readonly PlainTor[]
  readonly ports: TorPorts
  /** The first one's number among the clients of the network. */
  readonly firstClient: number
}

/** Four that nobody heals, with the same lines: for what happens when one of them fails. Resolves once all have bootstrapped. */
export async function startPlainTors(room: Room, network: TorNetwork, options: PlainTorsOptions): Promise<PlainTors> {
  const { directory, firstSocks = 9_061, firstClient = 5 } = options
  const ports = torPorts(firstSocks)
  const tors = four((n) => {
    const own = join(directory, `plain${ports.socks[n]}`)
    mkdirSync(own, { recursive: true, mode: 0o700 })
    const file = join(own, 'torrc')
    writeFileSync(
      file,
      torrc({
        dataDirectory: join(own, 'data'),
        socksPorts: [{ listen: { host: '127.0.0.1', port: ports.socks[n] ?? 0 }, flags: [] }],
        owningControllerProcess: process.pid,
        confluxEnabled: false,
        extra: [...network.clientTorrc({ client: firstClient + n }), tunnelPort(ports, n)],
      }),
    )
    return new PlainTor(room, { name: `plain${ports.socks[n]}`, torrc: file, client: firstClient + n })
  })
  await Promise.all(tors.map((tor) => tor.start()))
  return { tors, ports, firstClient }
}

export class PlainTor {
  /** Its number among the clients of the network, by which it can be cut off. */
  readonly client: number
  readonly #room: Room
  readonly #name: string
  readonly #torrc: string
  #started: Started | undefined

  constructor(room: Room, own: { readonly name: string; readonly torrc: string; readonly client: number }) {
    this.client = own.client
    this.#room = room
    this.#name = own.name
    this.#torrc = own.torrc
  }

  get pid(): number {
    if (this.#started === undefined) throw new Error(`${this.#name} has not been started`)
    return this.#started.pid
  }

  /** Resolves once it has bootstrapped. */
  async start(): Promise<void> {
    this.#started = this.#room.start(this.#name, ['tor', '-f', this.#torrc], { readsOutput: true })
    await lineOf(this.#started, /Bootstrapped 100%/)
  }

  /** By force. Resolves when it is gone. */
  async kill(): Promise<void> {
    const child = this.#started?.child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
}

function torPorts(firstSocks: number): TorPorts {
  return { socks: four((n) => firstSocks + n), httpTunnel: four((n) => firstSocks + 100 + n) }
}

function tunnelPort({ httpTunnel }: TorPorts, n: number): string {
  return `HTTPTunnelPort 127.0.0.1:${httpTunnel[n]}`
}

function four<T>(make: (n: number) => T): T[] {
  return Array.from({ length: COUNT }, (_, n) => make(n))
}

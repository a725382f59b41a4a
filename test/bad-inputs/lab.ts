/** What the rows of bad inputs are sent to: a whole service on real ports, whose workers lead to targets of ours and count who asks them. */
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryLogger } from '../../src/api/test-app.ts'
import { type ApiClient, createApiClient } from '../../src/client/client.ts'
import { parseConfig } from '../../src/config/read-config.ts'
import type { Identity } from '../../src/domain/identity.ts'
import type { Target } from '../../src/domain/worker.ts'
import type { Logger } from '../../src/lib/log.ts'
import { createService, type Service } from '../../src/service.ts'
import type { ConnectOptions, WorkerConnection } from '../../src/workers/driver.ts'
import { FakeDriver, type FakeDriverOptions } from '../../src/workers/fake/fake-driver.ts'
import { makeCertificates } from './certificates.ts'
import { CHECK, targetsWith } from './targets.ts'

const WORKERS = ['tor01', 'tor02'] as const

/** All with five exits in Germany, and none in France. */
const EXITS = ['A', 'B', 'C', 'D', 'E', 'F'].map((letter, n) => ({
  nickname: `exit${n}`,
  fingerprint: letter.repeat(40),
  address: `198.51.100.${n + 1}`,
  country: 'de',
}))

/** A worker that writes down which targets it is asked for. */
class WitnessDriver extends FakeDriver {
  readonly #asked: string[]

  constructor(options: FakeDriverOptions, asked: string[]) {
    super(options)
    this.#asked = asked
  }

  override connect(
    target: Target,
    identity: Identity,
    signal: AbortSignal,
    options?: ConnectOptions,
  ): Promise<WorkerConnection> {
    if (target.host !== CHECK) this.#asked.push(`${target.host}:${target.port}`)
    return super.connect(target, identity, signal, options)
  }

  override resolve(host: string, identity: Identity, signal: AbortSignal): Promise<string> {
    this.#asked.push(host)
    return super.resolve(host, identity, signal)
  }
}

/** Puts in what differs from lab to lab. Then `{BASIC:x}` becomes the base64 of x, and `{LENGTHED:x}` x behind a byte that is its length. */
export function filledIn(bytes: string, { ports, key }: Pick<Lab, 'ports' | 'key'>, port: PortName): string {
  const values = {
    HOST: `127.0.0.1:${ports[port]}`,
    PORT: `${ports[port]}`,
    KEY: key,
    KEYID: key.split('_', 2).join('_'),
  }
  return bytes
    .replace(/\{(HOST|PORT|KEY|KEYID)\}/g, (_, name: keyof typeof values) => values[name])
    .replace(/\{BASIC:([^}]*)\}/g, (_, text: string) => btoa(text))
    .replace(/\{LENGTHED:([^}]*)\}/g, (_, text: string) => String.fromCharCode(text.length) + text)
}

export type PortName = 'api' | 'http' | 'socks' | 'both'

export interface Lab extends AsyncDisposable {
  readonly service: Service
  readonly ports: Readonly<Record<PortName, number>>
  readonly workers: readonly WitnessDriver[]
  /** Targets that any worker was asked for, in order. */
  readonly asked: readonly string[]
  /** Empties `asked`. */
  forget(): void
  /** The targets' ends of the connections that are open. */
  readonly sockets: ReadonlySet<Socket>
  /** One that may everything. */
  readonly key: string
  /** With that key. */
  readonly api: ApiClient
  /** Everything that was logged so far, unless the logger is another one. */
  logged(): string
  /** Connects to a port. */
  dial(port: PortName): Promise<Client>
}

export interface LabOptions {
  /** Further fields of that section of the configuration. */
  readonly proxy?: Readonly<Record<string, unknown>>
  readonly logger?: Logger
}

/** Keys are asked for on the API, and on the proxy ports if `proxy` says so. */
export async function startLab({ proxy, logger = new MemoryLogger() }: LabOptions = {}): Promise<Lab> {
  await using stack = new AsyncDisposableStack()
  const state = mkdtempSync(join(tmpdir(), 'cbtor-bad-inputs-'))
  stack.defer(() => rmSync(state, { recursive: true, force: true }))
  const certificates = makeCertificates(state)
  const caFile = join(state, 'ca.pem')
  writeFileSync(caFile, certificates.trusted)
  const { targets, sockets } = stack.use(targetsWith(certificates))
  const asked: string[] = []
  const workers = WORKERS.map((id) => new WitnessDriver({ id, targets, exits: EXITS }, asked))
  const both = await freePort()
  const config = parseConfig(
    {
      state,
      auth: 'on',
      listen: '127.0.0.1:0',
      proxy: { http: '127.0.0.1:0', socks: '127.0.0.1:0', both: `127.0.0.1:${both}`, auth: 'off', ...proxy },
      workers: WORKERS.map((id) => ({ kind: 'local', id })),
      targets: { ca_file: caFile },
      limits: { rate: 'off' },
      politeness: 'off',
      checks: { clearnet: [`http://${CHECK}/`], onion: [] },
    },
    {},
  )
  const never = new AbortController().signal
  const createDriver = (id: string) => workers.find((worker) => worker.id === id) as WitnessDriver
  const service = stack.use(await createService(config, { createDriver, logger }, never))
  await service.ready(AbortSignal.timeout(10_000))
  const portOf = (url: string | undefined) => Number(/:(\d+)$/.exec(url ?? '')?.[1])
  const ports = {
    ...{ api: portOf(service.url), both },
    http: portOf(service.proxy.http),
    socks: portOf(service.proxy.socks),
  }
  const clients = stack.adopt(new Set<Client>(), (all) => {
    for (const { socket } of all) socket.destroy()
  })
  const owned = stack.move()
  return {
    ...{ service, ports, workers, asked, sockets },
    key: service.adminKey ?? '',
    api: createApiClient({ baseUrl: service.url, key: service.adminKey }),
    logged: () => JSON.stringify(logger instanceof MemoryLogger ? logger.lines : []),
    forget: () => void asked.splice(0),
    async dial(port) {
      const client = new Client(connect({ port: ports[port], host: '127.0.0.1', allowHalfOpen: true }))
      clients.add(client)
      await once(client.socket, 'connect')
      return client
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await once(server.close(), 'close')
  return port
}

/** A hang is a failure. */
const HANG_MS = 8_000

/** A connection to one of the ports, and what came back on it. */
export class Client {
  readonly socket: Socket
  /** As ISO 8859-1. */
  text = ''
  isClosed = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('latin1')
    socket.on('error', () => {})
    socket.on('data', (text: string) => {
      this.text += text
    })
    for (const event of ['end', 'close'] as const)
      socket.on(event, () => {
        this.isClosed = true
      })
  }

  send(bytes: string | Buffer): this {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    return this
  }

  /** Resolves once `found` of what has come so far. Rejects when nothing of the kind comes in time, or the connection ends before. */
  async reads(found: (text: string) => boolean, limitMs = HANG_MS): Promise<string> {
    const hang = AbortSignal.timeout(limitMs)
    while (!found(this.text)) {
      if (this.isClosed) throw new Error(`The connection has ended behind ${JSON.stringify(this.text)}`)
      await this.#more(hang)
    }
    return this.text
  }

  /** Resolves with everything once the other side has ended the connection. */
  async readsAll(limitMs = HANG_MS): Promise<string> {
    const hang = AbortSignal.timeout(limitMs)
    while (!this.isClosed) await this.#more(hang)
    return this.text
  }

  async #more(signal: AbortSignal): Promise<void> {
    try {
      await Promise.race(['data', 'end', 'close'].map((event) => once(this.socket, event, { signal })))
    } catch (cause) {
      if (signal.aborted) throw new Error(`Nothing more came behind ${JSON.stringify(this.text)}`, { cause })
    }
  }
}

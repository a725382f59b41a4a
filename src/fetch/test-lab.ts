/** What the tests of this folder fetch from: real servers on loopback, and workers that dial them whatever the name. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { CbtorError } from '../domain/errors.ts'
import type { FetchRequest, Selection } from '../domain/exchange.ts'
import type { ExitDemand, Identity } from '../domain/identity.ts'
import type { ProblemCode } from '../domain/problems.ts'
import type { Exit, PathRelay, Target } from '../domain/worker.ts'
import { abortable } from '../lib/abort.ts'
import { type SessionName, sessionName } from './session.ts'
import type { Lease, StallPhase, WorkerSource, WorkerStream } from './worker-source.ts'

export interface Certificate {
  readonly key: string
  readonly cert: string
}

/** A certificate of its own authority for a.test, b.test and 127.0.0.1. */
export function makeCertificate(): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'cbtor-fetch-'))
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
        ...[
          '-subj',
          '/CN=a.test',
          '-addext',
          'subjectAltName=DNS:a.test,DNS:b.test,IP:127.0.0.1',
          '-keyout',
          key,
          '-out',
          cert,
        ],
      ],
      { stdio: 'pipe' },
    )
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The same of an authority that is not to be trusted any more, nor for anything: its time is over. */
export function makeExpiredCertificate(): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'cbtor-fetch-'))
  try {
    const at = (name: string) => join(folder, name)
    const settings = [
      ...[
        '[ca]',
        'default_ca=d',
        '[d]',
        `database=${at('index')}`,
        `new_certs_dir=${folder}`,
        `serial=${at('serial')}`,
      ],
      ...['default_md=sha256', 'policy=p', 'x509_extensions=e', '[p]', 'commonName=supplied'],
      ...['[e]', 'subjectAltName=DNS:a.test', '[req]', 'distinguished_name=n', '[n]', ''],
    ]
    writeFileSync(at('settings'), settings.join('\n'))
    writeFileSync(at('index'), '')
    writeFileSync(at('serial'), '01\n')
    const openssl = (...words: string[]) => execFileSync('openssl', words, { stdio: 'pipe' })
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    const subject = ['-config', at('settings'), '-subj', '/CN=a.test']
    openssl('req', '-new', ...curve, ...subject, '-keyout', at('key.pem'), '-out', at('request.pem'))
    const dates = ['-startdate', '20200101000000Z', '-enddate', '20210101000000Z']
    const signed = ['-selfsign', '-batch', '-notext', '-keyfile', at('key.pem'), '-in', at('request.pem')]
    openssl('ca', '-config', at('settings'), ...dates, ...signed, '-out', at('cert.pem'))
    return { key: readFileSync(at('key.pem'), 'utf8'), cert: readFileSync(at('cert.pem'), 'utf8') }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** A server on loopback that remembers its connections. Dispose it to end it with them. */
export class TestServer implements AsyncDisposable {
  readonly sockets = new Set<Socket>()
  /** Connections so far. */
  accepted = 0
  readonly #server: Server

  static http(listener: RequestListener): Promise<TestServer> {
    return TestServer.#start(createServer(listener))
  }

  static https(certificate: Certificate, listener: RequestListener): Promise<TestServer> {
    return TestServer.#start(createTlsServer(certificate, listener))
  }

  static tcp(listener: (socket: Socket) => void): Promise<TestServer> {
    return TestServer.#start(createTcpServer(listener))
  }

  private constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket: Socket) => {
      this.accepted++
      this.sockets.add(socket)
      socket.on('error', () => {}).on('close', () => this.sockets.delete(socket))
    })
    server.on('tlsClientError', () => {})
  }

  static async #start(server: Server): Promise<TestServer> {
    const started = new TestServer(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return started
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Resolves once no connection is open any more. */
  async allClosed(): Promise<void> {
    for (const socket of this.sockets) await new Promise((resolve) => socket.once('close', resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    for (const socket of this.sockets) socket.destroy()
    if (this.#server.listening) await once(this.#server, 'close')
  }
}

/** How a worker's connect goes: a server's port, a fault, or as long as it takes. */
export type Behaviour = number | ProblemCode | 'hang'

export interface Dial {
  readonly worker: string
  readonly token: string
  readonly target: Target
  /** Both ends of the TCP connection: what `wireOf` tells at the server. */
  readonly wire: string
  /** What the identity demanded of its exit, if it did. */
  readonly demand?: ExitDemand
}

/** The exit of every stream. */
export const EXIT: Exit = { nickname: 'exit1', fingerprint: 'A'.repeat(40), address: '198.51.100.1' }

/** Workers that reach `network`, or what `faults` says of one of them, chosen in turn. */
export class TestWorkers implements WorkerSource {
  /** By `host:port`. */
  readonly network = new Map<string, Behaviour>()
  /** By worker. */
  readonly faults = new Map<string, Behaviour>()
  readonly dials: Dial[] = []
  readonly reports: [worker: string, outcome: string][] = []
  readonly selections: Selection[] = []
  readonly stalls: [worker: string, phase: StallPhase][] = []
  /** Identities that nobody will ask for again. */
  readonly forgotten: [worker: string, token: string][] = []
  /** Workers of tunnels, in the order in which they came to stand. */
  readonly standing: string[] = []
  /** Workers that are not to be had. */
  readonly down = new Set<string>()
  /** Those of them that are about to come. */
  readonly coming = new Set<string>()
  askExit: (worker: string) => Promise<Exit | undefined> = async () => EXIT
  askPath: (worker: string) => Promise<readonly PathRelay[] | undefined> = async () => undefined
  leases = 0
  readonly #ids: readonly string[]
  #last = 0

  constructor(count = 3) {
    this.#ids = Array.from({ length: count }, (_, index) => `w${index + 1}`)
  }

  acquire(selection: Selection, tried: ReadonlySet<string>): Lease {
    this.selections.push(selection)
    const inTurn = [...this.#ids.slice(this.#last), ...this.#ids.slice(0, this.#last)]
    const id = inTurn.find((id) => !tried.has(id) && !this.down.has(id) && (selection.workerId ?? id) === id)
    if (id === undefined) throw new CbtorError('no_worker', 'Cannot choose a worker: none is left', { retryAfterMs: 5 })
    this.#last = this.#ids.indexOf(id) + 1
    this.leases++
    return {
      worker: { id, n: Number(id.slice(1)) },
      connect: (target, identity, signal, options) => this.#connect(id, target, identity, signal, options?.earlyData),
      resolve: async (host, identity, signal) => {
        const stream = await this.#connect(id, { host, port: 0 }, identity, signal)
        stream.socket.destroy()
        return '198.51.100.1'
      },
      forget: (identity) => this.forget(id, identity),
      report: (outcome) => void this.reports.push([id, outcome]),
      stands: () => void this.standing.push(id),
      stalled: (phase) => void this.stalls.push([id, phase]),
      [Symbol.dispose]: () => {
        this.leases--
      },
    }
  }

  mayCome(worker: string): boolean {
    return this.coming.has(worker)
  }

  forget(worker: string, { token }: Identity): void {
    this.forgotten.push([worker, token])
  }

  /** The next one is the first worker again. */
  rewind(): void {
    this.#last = 0
  }

  async #connect(
    worker: string,
    target: Target,
    identity: Identity,
    signal: AbortSignal,
    earlyData?: Uint8Array,
  ): Promise<WorkerStream> {
    signal.throwIfAborted()
    const behaviour = this.faults.get(worker) ?? this.network.get(`${target.host}:${target.port}`) ?? 'resolve_failed'
    if (behaviour === 'hang') return await abortable(new Promise<never>(() => {}), signal)
    if (typeof behaviour === 'string') throw new CbtorError(behaviour, `Cannot connect: ${behaviour}`)
    const socket = connect(behaviour, '127.0.0.1')
    await once(socket, 'connect')
    if (earlyData) socket.write(earlyData)
    const wire = `${socket.localPort}-${socket.remotePort}`
    const { token, exit: demand } = identity
    this.dials.push({ worker, token, target, wire, ...(demand && { demand }) })
    return { socket, route: 'socks', exit: () => this.askExit(worker), path: () => this.askPath(worker) }
  }
}

export function fetchRequest(url: string, changes: Partial<FetchRequest> = {}): FetchRequest {
  return {
    url,
    method: 'GET',
    headers: [],
    timeoutMs: 30_000,
    maxBytes: 1024 * 1024,
    followRedirects: true,
    maxRedirects: 10,
    allowDowngrade: false,
    allowOnionToClearnet: false,
    isolation: 'destination',
    ...changes,
  }
}

/** The whole body of a request that a server got. */
export async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

/** Names the TCP connection of a server's socket as `Dial.wire` does. */
export function wireOf(socket: Socket): string {
  return `${socket.remotePort}-${socket.localPort}`
}

export function isTls(socket: Socket): socket is TLSSocket {
  return 'encrypted' in socket
}

/** The session that requests without a caller have by this key. */
export function own(key: string): SessionName {
  return sessionName(undefined, key)
}

/** Sends mutated requests to a port of a running service, and looks at everything that comes back and at what the service holds. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { type Random, seededRandom } from '../../src/lib/random.ts'
import type { PortName } from '../bad-inputs/lab.ts'
import { Connection } from './connection.ts'
import { apiMessage, broken, connectMessage, type Message, proxyMessage, socksMessage } from './grammar.ts'
import { once as onceIn } from './random-bytes.ts'
import { type Answer, AnswerReader } from './read-answers.ts'
import type { Held, Started } from './service.ts'

export interface FuzzOptions {
  readonly port: PortName
  /** Requests. */
  readonly count: number
  readonly seed: number
  /** Connections at a time. */
  readonly atOnce?: number
  /** Told now and then. */
  onProgress?(report: FuzzReport): void
}

export interface FuzzReport {
  readonly port: PortName
  readonly seed: number
  /** Requests of which it is known what became of them. */
  sent: number
  seconds: number
  /** How often each status came, with its code if it was a problem; `closed` is the end of a connection without a word. */
  readonly answers: Map<string, number>
  /** What must not be, each with a request that brought it. */
  readonly faults: string[]
  /** At first behind the warm-up. */
  readonly held: (Held & { readonly sent: number })[]
}

/** A client of SOCKS waits more. */
const AT_ONCE: Readonly<Record<PortName, number>> = { api: 32, http: 32, socks: 128, both: 64 }
const BATCH = 8
const BATCHES = 6
/** A request that is broken may be one that is not whole: nobody waits for its answer for longer. */
const QUIET_MS = 15
/** Nothing takes longer unless it hangs: the fuzz ends its side of the connection before. */
const HANG_MS = 30_000
/** A collection of garbage takes as long as some hundred requests. */
const REQUESTS_PER_MEASUREMENT = 5_000
const MAX_MEASUREMENTS = 40
/** Connections to targets are kept for 30 s. */
const SETTLES_WITHIN_S = 60
const MAX_FAULTS = 20

/** Runs the service in a process of its own, the fuzz in this one. */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const { port, count, seed, atOnce = AT_ONCE[port] } = options
  const report: FuzzReport = { port, seed, sent: 0, seconds: 0, answers: new Map(), faults: [], held: [] }
  await using service = await ServiceProcess.start((fault) => report.faults.push(fault))
  const startedAt = performance.now()
  const run = new Run(options, report, service.started)
  const parts = Math.min(MAX_MEASUREMENTS, Math.max(4, Math.ceil(count / REQUESTS_PER_MEASUREMENT)))
  for (let part = 1; part <= parts && !service.isGone; part++) {
    run.goal = Math.ceil((count * part) / parts)
    await Promise.all(
      Array.from({ length: atOnce }, (_, lane) =>
        run.lane(seededRandom(seed * 1_000_003 + part * 1_009 + lane), service),
      ),
    )
    report.seconds = (performance.now() - startedAt) / 1_000
    if (service.isGone) break
    const isLast = part === parts || report.faults.length >= MAX_FAULTS
    report.held.push({ ...(await (isLast ? service.settled() : service.held())), sent: report.sent })
    options.onProgress?.(report)
  }
  const last = report.held.at(-1)
  const atRest = service.atRest
  if (last && (last.connections > atRest.connections || last.streams > atRest.streams))
    report.faults.push(`left behind: ${JSON.stringify(last)}, at first ${JSON.stringify(atRest)}`)
  return report
}

/** Growth of the heap after garbage collection, from the first quarter of a run to its end; bytes. */
export function growthOf({ held }: FuzzReport): { readonly heap: number; readonly rss: number } {
  const from = held[Math.floor(held.length / 4)]
  const to = held.at(-1)
  if (from === undefined || to === undefined) return { heap: 0, rss: 0 }
  return { heap: to.heap + to.external - from.heap - from.external, rss: to.rss - from.rss }
}

class ServiceProcess implements AsyncDisposable {
  readonly started: Started
  readonly #child: ChildProcess
  isGone = false
  atRest: Held = { heap: 0, external: 0, rss: 0, connections: 0, streams: 0 }
  #isEnding = false

  static async start(onFault: (fault: string) => void): Promise<ServiceProcess> {
    const child = fork(new URL('service.ts', import.meta.url), {
      execArgv: ['--expose-gc', '--max-semi-space-size=8'],
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    })
    let said = ''
    child.stderr?.on('data', (chunk) => {
      said = `${said}${chunk}`.slice(-4_000)
    })
    const [started] = (await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => Promise.reject(new Error(`The service does not start: ${said}`))),
    ])) as [Started]
    const service = new ServiceProcess(child, started)
    child.once('exit', (code, signal) => {
      service.isGone = true
      if (!service.#isEnding) onFault(`crash: the service has ended with ${code ?? signal}: ${said}`)
    })
    service.atRest = await service.held()
    return service
  }

  private constructor(child: ChildProcess, started: Started) {
    this.#child = child
    this.started = started
  }

  /** What it holds once all connections have gone, or after a while. */
  async settled(): Promise<Held> {
    for (let turn = 0; ; turn++) {
      const held = await this.held()
      const isAtRest = held.connections <= this.atRest.connections && held.streams <= this.atRest.streams
      if (isAtRest || turn === SETTLES_WITHIN_S) return held
      await new Promise((resolve) => setTimeout(resolve, 1_000))
    }
  }

  async held(): Promise<Held> {
    this.#child.send('measure')
    const [held] = (await once(this.#child, 'message')) as [Held]
    return held
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true
    if (this.isGone) return
    const gone = once(this.#child, 'exit')
    this.#child.disconnect()
    await gone
  }
}

class Run {
  readonly #options: FuzzOptions
  readonly #report: FuzzReport
  readonly #service: Started
  /** Of `sent`. */
  goal = 0

  constructor(options: FuzzOptions, report: FuzzReport, service: Started) {
    this.#options = options
    this.#report = report
    this.#service = service
  }

  /** One connection after the other. */
  async lane(random: Random, service: { readonly isGone: boolean }): Promise<void> {
    while (this.#report.sent < this.goal && !service.isGone && this.#report.faults.length < MAX_FAULTS) {
      const isSocks = this.#options.port === 'socks' || (this.#options.port === 'both' && onceIn(random, 3))
      try {
        await (isSocks ? this.#socks(random) : this.#http(random))
      } catch (error) {
        if (service.isGone) return
        this.#fault(`${error instanceof Error ? error.message : error}`, '')
      }
    }
  }

  async #http(random: Random): Promise<void> {
    const reader = new AnswerReader()
    const waiting: Message[] = []
    let last: Answer | undefined
    let fault: string | undefined
    const take = (isEnded = false) => {
      while (waiting.length > 0 && fault === undefined) {
        try {
          const answer = reader.next(waiting[0]?.isHead === true, isEnded)
          if (answer === undefined) return
          last = answer
          const message = waiting.shift()
          this.#count(answer, message)
        } catch (error) {
          fault = String(error)
        }
      }
    }
    const connection = await Connection.open(this.#portNumber, (text) => {
      reader.push(text)
      take()
    })
    let sent = ''
    const send = (messages: readonly Message[]) => {
      sent = messages.map(({ bytes }) => bytes).join('')
      waiting.push(...messages)
      connection.send(sent)
    }
    for (let batch = 0; batch < BATCHES && !connection.isEnded && fault === undefined; batch++) {
      send(Array.from({ length: BATCH }, () => this.#message(random)))
      if (!(await connection.until(() => waiting.length === 0 || fault !== undefined, HANG_MS)))
        fault = 'no answer comes'
    }
    if (!connection.isEnded && fault === undefined) {
      send([this.#unframed(random)])
      await connection.until(() => waiting.length === 0, QUIET_MS)
      if (!(await connection.finish(HANG_MS))) fault = 'the connection does not end'
      take(true)
      if (waiting.length > 0) this.#tell('closed')
    } else {
      take(true)
      if (waiting.length > 0 && last?.isLast !== true && fault === undefined)
        fault = 'the connection has ended without a word'
      connection.destroy()
    }
    if (fault !== undefined) this.#fault(fault, waiting[0]?.bytes ?? sent)
  }

  async #socks(random: Random): Promise<void> {
    let text = ''
    const connection = await Connection.open(this.#portNumber, (more) => {
      text += more
    })
    const { bytes } = socksMessage(random)
    const at = onceIn(random, 2) ? random.int(bytes.length + 1) : bytes.length
    connection.send(bytes.slice(0, at))
    if (at < bytes.length) {
      await new Promise((resolve) => setImmediate(resolve))
      connection.send(bytes.slice(at))
    }
    await connection.until(() => text.length > 12, QUIET_MS)
    // A tunnel that stands goes on behind its client's end, for what the target has still to say.
    if (socksAnswer(text) === 'reply 0') connection.destroy()
    else if (!(await connection.finish(HANG_MS))) this.#fault('the connection does not end', bytes)
    const told =
      socksAnswer(text) ?? (this.#options.port === 'both' && /^HTTP\/1\.1 4\d\d /.test(text) ? 'HTTP' : undefined)
    if (told === undefined) this.#fault(`the answer is not well-formed: ${JSON.stringify(text.slice(0, 100))}`, bytes)
    else this.#tell(told)
  }

  #message(random: Random): Message {
    if (this.#options.port !== 'api') return proxyMessage(random)
    return apiMessage(random, `127.0.0.1:${this.#service.ports.api}`, this.#service.key)
  }

  #unframed(random: Random): Message {
    if (this.#options.port !== 'api' && onceIn(random, 2)) return connectMessage(random)
    return broken(this.#message(random), random)
  }

  #count({ status, code }: Answer, message: Message | undefined): void {
    const isUnlisted = status === 500 || (status > 500 && code === undefined && !message?.isHead)
    if (isUnlisted || code === 'internal') this.#fault(`${status} ${code}`, message?.bytes ?? '')
    this.#tell(code === undefined ? `${status}` : `${status} ${code}`)
  }

  #tell(what: string): void {
    this.#report.sent++
    this.#report.answers.set(what, (this.#report.answers.get(what) ?? 0) + 1)
  }

  #fault(what: string, bytes: string): void {
    this.#report.faults.push(`${what}: ${JSON.stringify(bytes.slice(0, 2_000))}`)
  }

  get #portNumber(): number {
    return this.#service.ports[this.#options.port]
  }
}

/** What a SOCKS port has said, in a word; undefined when it is not what one says. */
function socksAnswer(text: string): string | undefined {
  if (text === '') return 'closed'
  if (text === '\x00\x5b\x00\x00\x00\x00\x00\x00') return 'SOCKS4 refused'
  if (text === '\x05\xff') return 'no method'
  if (text === '\x05\x02\x01\x01') return 'credentials refused'
  const hello = ['\x05\x02\x01\x00', '\x05\x02', '\x05\x00'].find((each) => text.startsWith(each))
  if (hello === undefined) return undefined
  const reply = Buffer.from(text.slice(hello.length), 'latin1')
  if (reply.length === 0) return 'hello'
  const [version, code = 0xff, reserved, type] = reply
  if (reply.length < 10 || version !== 5 || code > 8 || reserved !== 0 || type !== 1) return undefined
  return code === 0 || reply.length === 10 ? `reply ${code}` : undefined
}

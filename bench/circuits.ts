/**
 * A fresh identity for every request, on one Tor: the way of everybody, a new SOCKS user name each time, against circuits built
 * ahead, in turns on a private network. Each has one Tor for the whole run, as it would for days: what a case leaves behind is there in the
 * next one. Tells requests a second in the second half of each case, failures, and circuits against the budget.
 *
 *   node bench/circuits.ts [factor on all times] [rounds] [concurrencies]
 */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { systemClock } from '../src/lib/clock.ts'
import { silentLogger } from '../src/lib/log.ts'
import { TorNetwork } from '../src/testnet/network.ts'
import { TorControl } from '../src/tor/control/client.ts'
import { TorProcess } from '../src/tor/process/tor-process.ts'
import { dialThroughSocks } from '../src/tor/socks/dial.ts'
import { type TorDirectory, torDirectory } from '../src/tor/tor-directory.ts'
import { torrc } from '../src/tor/torrc/torrc.ts'
import { CircuitBudget } from '../src/workers/circuit-budget.ts'
import { STOCK_POLICY } from '../src/workers/circuit-stock.ts'
import { LocalDriver } from '../src/workers/local/local-driver.ts'

const [factor = '1', roundsText = '1', concurrencies = '1,16,64,256'] = process.argv.slice(2)
/** Seconds of each case, by its concurrency: the naive way takes long to show how slow it becomes, as Tor keeps each circuit for ten minutes. */
const SECONDS = new Map([
  [1, 10],
  [16, 12],
  [64, 100],
  [256, 30],
])
const ROUNDS = Number(roundsText)
const CONCURRENCIES = concurrencies.split(',').map(Number)
const LOOK_EVERY_MS = 250
/** What a caller would wait at most. */
const LIMIT_MS = 10_000
/** Of a network that is all ours; a public one gets 1 a second. */
const BUDGET = { rate: 1_500, burst: 500 }
const POLICY = { ...STOCK_POLICY, stock: 64, maxBuilding: 128 }
const never = new AbortController().signal

await using network = await TorNetwork.create()
const { hostname } = new URL(network.urls.www)
const target = { host: hostname, port: 80 }
const request = Buffer.from(`GET /ip HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n\r\n`)
let identities = 0

/** Counts circuits, by their numbers in Tor's own list: Tor's for its directory and onion services included. */
class CircuitCount {
  launched = 0
  most = 0
  /** Of the budget's tokens, as few as there ever were; below 0 the budget is broken. */
  least = BUDGET.burst
  readonly #control: TorControl
  #last: number | undefined
  #tokens = BUDGET.burst
  #at = performance.now()

  constructor(control: TorControl) {
    this.#control = control
  }

  async look(): Promise<void> {
    const circuits = await this.#control.circuits(never)
    const now = performance.now()
    const newest = Math.max(0, ...circuits.map(({ id }) => Number(id)))
    const launched = Math.max(0, newest - (this.#last ?? newest))
    this.#last = Math.max(newest, this.#last ?? 0)
    this.launched += launched
    this.most = Math.max(this.most, circuits.length)
    this.#tokens = Math.min(BUDGET.burst, this.#tokens + ((now - this.#at) / 1_000) * BUDGET.rate) - launched
    this.#at = now
    this.least = Math.min(this.least, this.#tokens)
  }
}

interface Result {
  done: number
  /** Of those, in the first half. */
  doneBefore: number
  failed: number
  circuits: CircuitCount
  readonly times: number[]
}

type Way = 'naive' | 'ours'
const WAYS: readonly Way[] = ['naive', 'ours']
const rates = new Map<string, number[]>()
await using naive = await plainTor(torDirectory(join(network.directory, 'naive')))
await using ours = await workerTor(torDirectory(join(network.directory, 'ours')))
const tors = { naive, ours }
for (let round = 1; round <= ROUNDS; round++) {
  for (const concurrency of CONCURRENCIES) {
    const caseMs = (SECONDS.get(concurrency) ?? 30) * 1_000 * Number(factor)
    for (const way of WAYS) {
      const result = await run(way, tors[way], concurrency, caseMs)
      const rate = (result.done - result.doneBefore) / (caseMs / 2_000)
      rates.set(`${way} ${concurrency}`, [...(rates.get(`${way} ${concurrency}`) ?? []), rate])
      result.times.sort((a, b) => a - b)
      const p = (share: number) => (result.times[Math.floor((result.times.length - 1) * share)] ?? 0).toFixed(0)
      const { launched, most, least } = result.circuits
      print(
        `c=${concurrency} ${way}: ${rate.toFixed(1)}/s (${(result.doneBefore / (caseMs / 2_000)).toFixed(1)}/s before), ` +
          `${result.failed} failed, p50 ${p(0.5)} ms, p99 ${p(0.99)} ms; ${launched} circuits launched, ${most} at once` +
          (way === 'ours' ? `, never less than ${least.toFixed(0)} of ${BUDGET.burst} left of the budget` : ''),
      )
    }
  }
}
for (const concurrency of CONCURRENCIES) {
  const [naive = 0, ours = 0] = WAYS.map((way) => median(rates.get(`${way} ${concurrency}`) ?? []))
  print(`c=${concurrency}: ${naive.toFixed(1)}/s naive, ${ours.toFixed(1)}/s ours: ${(ours / naive).toFixed(1)} times`)
}

async function run(way: Way, tor: Subject, concurrency: number, caseMs: number): Promise<Result> {
  const { controlSocket, controlCookie } = tor.directory
  await using control = await TorControl.open(controlSocket, { method: 'cookie-file', path: controlCookie }, {}, never)
  const circuits = new CircuitCount(control)
  await circuits.look()

  const result: Result = { done: 0, doneBefore: 0, failed: 0, circuits, times: [] }
  const end = new AbortController()
  const client = async () => {
    while (!end.signal.aborted) {
      const token = `fresh-${identities++}`
      const startedAt = performance.now()
      const limit = new AbortController()
      const timer = setTimeout(() => limit.abort(new Error('too late')), LIMIT_MS)
      const onEnd = () => limit.abort(new Error('over'))
      end.signal.addEventListener('abort', onEnd, { once: true })
      try {
        await read(await tor.dial(token, limit.signal), limit.signal)
        if (end.signal.aborted) return
        result.done++
        result.times.push(performance.now() - startedAt)
      } catch (error) {
        if (end.signal.aborted) return
        result.failed++
        if (result.failed === 1) print(`  first failure: ${error}`)
      } finally {
        clearTimeout(timer)
        end.signal.removeEventListener('abort', onEnd)
        tor.forget(token)
      }
    }
  }
  const clients = Array.from({ length: concurrency }, client)
  for (const startedAt = performance.now(); performance.now() - startedAt < caseMs; ) {
    await systemClock.sleep(LOOK_EVERY_MS)
    if (way === 'ours') await circuits.look()
    if (performance.now() - startedAt < caseMs / 2) result.doneBefore = result.done
  }
  end.abort()
  await circuits.look()
  await Promise.all(clients)
  return result
}

interface Subject extends AsyncDisposable {
  readonly directory: TorDirectory
  dial(identity: string, signal: AbortSignal): Promise<Socket>
  /** The identity is used up. */
  forget(identity: string): void
}

/** A Tor as everybody runs it. */
async function plainTor(directory: TorDirectory): Promise<Subject> {
  const lines = torrc({
    dataDirectory: directory.data,
    socksPorts: [{ listen: { path: directory.socksSocket }, flags: [] }],
    controlSocket: directory.controlSocket,
    cookieAuthFile: directory.controlCookie,
    owningControllerProcess: process.pid,
    confluxEnabled: true,
    rejectInternalAddresses: network.isolation === 'namespace',
    extra: network.clientTorrc({ client: 1 }),
  })
  const tor = new TorProcess({
    ...{ command: network.clientCommand(), torrc: lines, directory },
    ...{ clock: systemClock, logger: silentLogger },
  })
  await tor.start(never)
  await tor.waitForBootstrap(never)
  const proxy = { path: directory.socksSocket }
  return {
    directory,
    dial: (username: string, signal: AbortSignal) =>
      dialThroughSocks({ proxy, auth: { username, password: 'naive' }, target, earlyData: request }, signal),
    forget() {},
    [Symbol.asyncDispose]: () => tor.stop(never),
  }
}

/** A worker's. */
async function workerTor(directory: TorDirectory): Promise<Subject> {
  const driver = new LocalDriver({
    id: 'tor01',
    directory: directory.path,
    command: network.clientCommand(),
    torrc: network.clientTorrc({ client: 2 }),
    rejectInternalAddresses: network.isolation === 'namespace',
    circuits: { budget: new CircuitBudget(systemClock, BUDGET), policy: POLICY },
    ...{ clock: systemClock, logger: silentLogger },
  })
  await driver.start(never)
  await driver.warmUp(never)
  const identity = (token: string) => ({ token, isOneOff: true, keepsExit: false })
  return {
    directory,
    dial: async (token: string, signal: AbortSignal) =>
      (await driver.connect(target, identity(token), signal, { earlyData: request })).socket,
    forget: (token: string) => driver.forget(identity(token)),
    [Symbol.asyncDispose]: () => driver[Symbol.asyncDispose](),
  }
}

async function read(socket: Socket, signal: AbortSignal): Promise<void> {
  const stop = () => socket.destroy(new Error('too late'))
  signal.addEventListener('abort', stop, { once: true })
  let bytes = ''
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.toString('latin1')
  })
  if (signal.aborted) stop()
  await once(socket, 'close')
  signal.removeEventListener('abort', stop)
  if (!bytes.startsWith('HTTP/1.1 200')) throw new Error(`answered ${JSON.stringify(bytes.slice(0, 40))}`)
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { deadline } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import {
  DELAYED_OR_PORT,
  isRelay,
  type NetworkPlan,
  type NetworkShape,
  OR_PORT,
  planNetwork,
  resolveName,
} from '../plan.ts'
import type { DnsFault, LoggedQuery, LoggedRequest, NetworkFacts, ProcessStatus, Progress } from '../protocol.ts'
import { clientTorrc, controlSocketPath, GEOIP_FILE } from '../torrc.ts'
import { setUpAddresses } from './addresses.ts'
import { base32 } from './base32.ts'
import { Blackhole } from './blackhole.ts'
import { BRING_UP_STEPS, bringUp, published, STARTED } from './bring-up.ts'
import { refusedPorts } from './control.ts'
import { Daemon } from './daemon.ts'
import { DnsServer } from './dns-server.ts'
import { LatencyForwarder } from './latency-forwarder.ts'
import { outsidePid } from './outside-pid.ts'
import { PRIVATE_SERVICE, type Prepared, prepare, torrcPath, writeTorrc } from './prepare.ts'
import { RequestLog } from './sites/request-log.ts'
import { listenSites } from './sites/sites.ts'

const RESTART_WITHIN_MS = 60_000
const RELOAD_WITHIN_MS = 10_000
const BLACKHOLE_WITHIN_MS = 10_000
const POLL_MS = 50

export interface BoxOptions {
  readonly shape: NetworkShape
  readonly directory: string
  readonly clock: Clock
  onProgress(progress: Progress): void
  onProcesses(processes: readonly ProcessStatus[]): void
}

interface Parts {
  readonly plan: NetworkPlan
  readonly prepared: Prepared
  readonly daemons: ReadonlyMap<string, Daemon>
  readonly dns: DnsServer
  readonly requests: RequestLog
}

/** The network itself, seen from inside: every daemon, the resolver and the sites, and what can be done to them. */
export class Box implements AsyncDisposable {
  readonly facts: NetworkFacts
  readonly #parts: Parts
  readonly #started: AsyncDisposable
  readonly #clock: Clock
  readonly #blackhole = new Blackhole()

  private constructor(facts: NetworkFacts, parts: Parts, started: AsyncDisposable, clock: Clock) {
    this.facts = facts
    this.#parts = parts
    this.#started = started
    this.#clock = clock
  }

  /** Resolves when a client could use everything. When it rejects, everything that was started has been ended. */
  static async create(options: BoxOptions, signal: AbortSignal): Promise<Box> {
    const { shape, directory, clock, onProgress, onProcesses } = options
    let done = 0
    const onStep = (text: string) => onProgress({ done: ++done, total: BRING_UP_STEPS + 1, text })
    const plan = planNetwork(shape)
    const requests = new RequestLog(clock)
    await using started = new AsyncDisposableStack()

    await setUpAddresses(plan, signal)
    const prepared = await prepare(plan, directory, Math.floor(clock.now() / 1000), signal)
    const { addresses, ports } = plan
    const dns = started.use(await DnsServer.listen(addresses.dns, ports.dns, (name) => resolveName(plan, name)))
    started.use(await listenSites(plan, prepared.certificates, requests, clock))
    if (plan.latencyMs > 0) {
      const relay = { clock, delayMs: plan.latencyMs, listenPort: DELAYED_OR_PORT, targetPort: OR_PORT }
      for (const { address } of plan.processes.filter(isRelay)) {
        started.use(await LatencyForwarder.listen({ ...relay, address }))
      }
    }
    onStep('keys and certificates are made')

    const daemons = new Map<string, Daemon>()
    const onChange = () => onProcesses(statuses(plan, prepared, daemons))
    for (const { name } of plan.processes) {
      daemons.set(name, started.use(new Daemon(name, torCommand(directory, name), onChange)))
    }
    await bringUp({ context: prepared.context, daemons, clock, onStep }, signal)
    const facts = await readFacts(prepared)
    return new Box(facts, { plan, prepared, daemons, dns, requests }, started.move(), clock)
  }

  get requests(): readonly LoggedRequest[] {
    return this.#parts.requests.entries
  }

  get dnsQueries(): readonly LoggedQuery[] {
    return this.#parts.dns.queries
  }

  /** Ends a process by force. */
  async kill(name: string): Promise<void> {
    await this.#daemon(name).kill()
  }

  /** Freezes a process: it keeps its connections and answers nothing. */
  stop(name: string): void {
    this.#daemon(name).signal('SIGSTOP')
  }

  resume(name: string): void {
    this.#daemon(name).signal('SIGCONT')
  }

  /** Ends a process if it runs, starts it with what it has on disk, and resolves when others can use it. */
  async restart(name: string): Promise<void> {
    const daemon = this.#daemon(name)
    const { plan, prepared } = this.#parts
    const role = plan.processes.find((process) => process.name === name)?.role
    using within = deadline(this.#clock, RESTART_WITHIN_MS, undefined, () => tooLate(RESTART_WITHIN_MS))
    await daemon.kill()
    daemon.start()
    if (role === 'onion-service') await published(daemon, prepared.context.directory, within.signal)
    else await daemon.reached(STARTED, within.signal)
  }

  /** Makes an exit refuse `ports` (and no others), while the consensus goes on saying that it accepts all. */
  async refusePorts(exit: string, ports: readonly number[]): Promise<void> {
    const process = this.#parts.plan.processes.find(({ name }) => name === exit)
    if (process?.role !== 'exit') throw new Error(`Cannot change the exit policy of "${exit}": it is no exit`)
    const daemon = this.#daemon(exit)
    using within = deadline(this.#clock, RELOAD_WITHIN_MS, undefined, () => tooLate(RELOAD_WITHIN_MS))
    const { context } = this.#parts.prepared
    await writeTorrc(process, context, { consensusAtS: 0, refusedPorts: ports })
    daemon.signal('SIGHUP')
    // Tor reloads at once, but goes by its new policy only when it has made its next descriptor, about a second later.
    const control = controlSocketPath(context.directory, exit)
    while (!sameNumbers(await refusedPorts(control, within.signal), ports)) {
      await this.#clock.sleep(POLL_MS, within.signal)
    }
  }

  async blackhole(address: string, isDark: boolean): Promise<void> {
    using within = deadline(this.#clock, BLACKHOLE_WITHIN_MS, undefined, () => tooLate(BLACKHOLE_WITHIN_MS))
    await this.#blackhole.set(address, isDark, within.signal)
  }

  failDns(fault: DnsFault): void {
    this.#parts.dns.fault = fault
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#started[Symbol.asyncDispose]()
  }

  #daemon(name: string): Daemon {
    const daemon = this.#parts.daemons.get(name)
    if (!daemon) throw new Error(`There is no process "${name}" in the network`)
    return daemon
  }
}

function statuses(plan: NetworkPlan, prepared: Prepared, daemons: ReadonlyMap<string, Daemon>): ProcessStatus[] {
  return plan.processes.map((process) => {
    const pid = daemons.get(process.name)?.pid
    const fingerprint = prepared.fingerprints.get(process.name)
    return { ...process, ...(fingerprint && { fingerprint }), pid: pid === undefined ? undefined : outsidePid(pid) }
  })
}

async function readFacts({ context, certificates, clientAuth }: Prepared): Promise<NetworkFacts> {
  const { directory } = context
  const address = async (name: string) => (await readFile(join(directory, name, 'service', 'hostname'), 'utf8')).trim()
  const privateOnionAddress = await address(PRIVATE_SERVICE)
  const privateKeyBase32 = base32(clientAuth.privateKey)
  return {
    directory,
    caFile: certificates.caFile,
    geoipFile: join(directory, GEOIP_FILE),
    clientTorrc: clientTorrc(context),
    onionAddress: await address('onion1'),
    privateOnionAddress,
    privateOnionAuth: {
      privateKeyBase64: clientAuth.privateKey.toString('base64'),
      privateKeyBase32,
      fileLine: `${privateOnionAddress.replace('.onion', '')}:descriptor:x25519:${privateKeyBase32}`,
    },
  }
}

/** Should this process die without ending its daemons, they notice within 15 s. */
function torCommand(directory: string, name: string): string[] {
  return ['tor', '-f', torrcPath(directory, name), '__OwningControllerProcess', `${process.pid}`]
}

function sameNumbers(some: readonly number[], others: readonly number[]): boolean {
  return some.length === others.length && some.every((number) => others.includes(number))
}

function tooLate(ms: number): Error {
  return new Error(`it took longer than ${ms} ms`)
}

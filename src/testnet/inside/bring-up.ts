import type { Clock } from '../../lib/clock.ts'
import { isRelay, type PlannedProcess, type Role } from '../plan.ts'
import { controlSocketPath, type TorrcContext, VOTING_INTERVAL_S, VOTING_S } from '../torrc.ts'
import { descriptorsUploaded } from './control.ts'
import { type Daemon, messageOf } from './daemon.ts'
import { type Consensus, fetchConsensus, fetchDescribed } from './directory.ts'
import { writeTorrc } from './prepare.ts'

const POLL_MS = 50
/** An authority has taken its new voting time by then. */
const RELOAD_MS = 250
/** A vote that brought no good consensus is held again. */
const VOTE_AGAIN_AFTER_MS = 3_000
/** Of 16: this period's and the next one's, each stored twice by 4 relays. A client finds it with a few missing. */
const DESCRIPTORS = 12

const DIR_PORT_OPEN = /Opened Directory listener connection \(ready\)/
const CONTROL_PORT_OPEN = /Opened Control listener connection \(ready\)/
const DESCRIPTORS_KNOWN = /The current consensus contains exit nodes/
/** A relay is of use from here on, whatever it still has to learn. */
export const STARTED = /Bootstrapped \d+%/

export interface BringUpOptions {
  readonly context: TorrcContext
  readonly daemons: ReadonlyMap<string, Daemon>
  readonly clock: Clock
  /** Called at the end of each of `BRING_UP_STEPS`. */
  onStep(text: string): void
}

export const BRING_UP_STEPS = 5

/**
 * Starts the daemons in the order in which they can use each other, each as soon as it can, and resolves when a client
 * would find everything working. A tor that asks too early waits long before it asks again; that is why the order
 * matters.
 */
export async function bringUp(options: BringUpOptions, signal: AbortSignal): Promise<void> {
  const { context, clock, onStep } = options
  const { processes } = context.plan
  const asked = { consensusAtS: nowS(clock, 0) + VOTING_INTERVAL_S / 2, refusedPorts: [] }
  await Promise.all(processes.map((process) => writeTorrc(process, context, asked)))

  const authorities = start(options, 'authority')
  await Promise.all(authorities.map((daemon) => daemon.reached(DIR_PORT_OPEN, signal)))
  onStep('authorities are listening')

  const relays = [...start(options, 'guard'), ...start(options, 'exit')]
  await explained('authorities hear of all relays', authorities, allDescribed(options, signal))
  onStep('authorities know all relays')

  await explained('authorities agree on all relays', authorities, vote(options, authorities, signal))
  onStep('authorities agree on all relays')

  // A relay that is told to reload asks for the consensus at once.
  for (const relay of relays) relay.signal('SIGHUP')
  await Promise.all(relays.map((relay) => relay.reached(DESCRIPTORS_KNOWN, signal)))
  onStep('relays have the consensus')

  const services = start(options, 'onion-service')
  await Promise.all(services.map((service) => published(service, context.directory, signal)))
  onStep('onion services are published')
}

/** Resolves when a client would find the onion service that has just been started. */
export async function published(service: Daemon, directory: string, signal: AbortSignal): Promise<void> {
  await service.reached(CONTROL_PORT_OPEN, signal)
  const uploaded = descriptorsUploaded(controlSocketPath(directory, service.name), DESCRIPTORS, signal)
  await explained('the descriptors are stored', [service], uploaded)
}

/** `work`, its error told together with what the processes that it waits for have logged. */
async function explained(what: string, daemons: readonly Daemon[], work: Promise<void>): Promise<void> {
  try {
    await work
  } catch (error) {
    const logs = daemons.map((daemon) => `The last lines of ${daemon.name}:\n${daemon.lastLines()}`)
    throw new Error([`Waited until ${what}: ${messageOf(error)}`, ...logs].join('\n'), { cause: error })
  }
}

function start({ context, daemons }: BringUpOptions, role: Role): Daemon[] {
  const started: Daemon[] = []
  for (const process of context.plan.processes) {
    const daemon = daemons.get(process.name)
    if (process.role !== role || !daemon) continue
    daemon.start()
    started.push(daemon)
  }
  return started
}

/** Resolves when every authority has the descriptor of every relay: then, and only then, their votes are complete. */
async function allDescribed(options: BringUpOptions, signal: AbortSignal): Promise<void> {
  const { plan } = options.context
  const relays = plan.processes.filter(isRelay)
  for (const { role, address } of plan.processes) {
    if (role !== 'authority') continue
    await poll(options, signal, async () => {
      const described = await fetchDescribed(address, signal)
      return relays.every(({ name }) => described.has(name))
    })
  }
}

/** Makes the authorities vote now, and again until they agree on a consensus in which every relay can be used. */
async function vote(options: BringUpOptions, authorities: readonly Daemon[], signal: AbortSignal): Promise<void> {
  const { context, clock } = options
  const voters = context.plan.processes.filter(({ role }) => role === 'authority')
  for (;;) {
    const consensusAtS = nowS(clock, RELOAD_MS) + VOTING_S
    await Promise.all(voters.map((process) => writeTorrc(process, context, { consensusAtS, refusedPorts: [] })))
    for (const authority of authorities) authority.signal('SIGHUP')
    const giveUpAt = clock.monotonic() + (VOTING_S + 1) * 1000 + VOTE_AGAIN_AFTER_MS
    let agreed = false
    await poll(options, signal, async () => {
      const consensuses = await Promise.all(voters.map(({ address }) => fetchConsensus(address, signal)))
      agreed = consensuses.every((consensus) => consensus && isComplete(consensus, context.plan.processes))
      return agreed || clock.monotonic() > giveUpAt
    })
    if (agreed) return
  }
}

export function isComplete({ relays }: Consensus, processes: readonly PlannedProcess[]): boolean {
  return processes.filter(isRelay).every(({ name, role }) => {
    const flags = relays.find((relay) => relay.name === name)?.flags ?? []
    return flags.includes('Running') && flags.includes('HSDir') && (role !== 'exit' || flags.includes('Exit'))
  })
}

/** Asks until the answer is yes; rejects when a daemon ends meanwhile or `signal` aborts. */
async function poll(
  { daemons, clock }: BringUpOptions,
  signal: AbortSignal,
  question: () => Promise<boolean>,
): Promise<void> {
  while (!(await question())) {
    for (const { failure } of daemons.values()) if (failure) throw failure
    await clock.sleep(POLL_MS, signal)
  }
}

/** The next whole second since the epoch that is at least `aheadMs` away. */
function nowS(clock: Clock, aheadMs: number): number {
  return Math.ceil((clock.now() + aheadMs) / 1000)
}

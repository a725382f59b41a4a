import type { ServiceConfig } from '../config/read-config.ts'
import { deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { parseUtcTime } from '../lib/iso-time.ts'
import type { TorControl } from '../tor/control/client.ts'
import { AuthenticationError, ControlReplyError } from '../tor/control/errors.ts'
import { parseExtraLines } from '../tor/torrc/extra-lines.ts'
import { judgeConsensus } from './clock.ts'
import { type Finding, messageOf, ok, unchecked, warning, wrong } from './finding.ts'
import { judgeGeoip, judgeGuards } from './guards.ts'
import { checkIsolation } from './isolation.ts'
import { type TorDoors, torDoors } from './tor-doors.ts'
import {
  judgeBoxListeners,
  judgeExternalListeners,
  judgeLocalListeners,
  LISTENER_KINDS,
  type TorListeners,
} from './tor-listeners.ts'
import { judgeSettings, SETTINGS, type TorSettings } from './tor-settings.ts'
import { judgeTorVersion } from './tor-version.ts'

type WorkerConfig = ServiceConfig['workers'][number]

/** For everything that is asked of one Tor. */
const TOLD_WITHIN_MS = 15_000

/** Every option of tor's that opens a port is named so, but for MetricsPort's friends, which take a flag. */
const OPENS_PORT = /^(?:Socks|HTTPTunnel|Trans|NATD|DNS|Control|Metrics|OR|Dir)Port$/i

/** Asks the Tor of one worker, by a control connection beside the service's. Rejects only with the signal's reason. */
export async function checkWorkerTor(
  config: ServiceConfig,
  worker: WorkerConfig,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const { id } = worker
  try {
    const late = () => new Error(`its Tor did not tell within ${TOLD_WITHIN_MS} ms`)
    using limit = deadline(clock, TOLD_WITHIN_MS, signal, late)
    await using doors = torDoors(config, worker, clock)
    if (doors.openControl === undefined)
      return [
        warning(
          `${id}: isolation`,
          'there is no control port, so nobody can prove that identities are kept apart, nor that one Tor has both ports',
          'Give control, and cookie_file or password_file, of the worker in the configuration',
        ),
      ]
    await using control = await doors.openControl(limit.signal)
    return await ask({ config, worker, control, doors, clock }, limit.signal)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof AuthenticationError)
      return [wrong(`${id}: control port`, messageOf(error), 'See whether another Tor has taken its place')]
    return [unchecked(`${id}: tor`, messageOf(error), 'Run this while the service is up, as the user who runs it')]
  }
}

interface Asked {
  readonly config: ServiceConfig
  readonly worker: WorkerConfig
  readonly control: TorControl
  readonly doors: TorDoors
  readonly clock: Clock
}

async function ask({ config, worker, control, doors, clock }: Asked, signal: AbortSignal): Promise<readonly Finding[]> {
  const { id, kind } = worker
  await control.subscribe(['STREAM'], signal)
  const { progress, summary } = await control.bootstrap(signal)
  const whose = { kind, id, rejectsInternalAddresses: config.tor.reject_internal_addresses }
  const found = [
    judgeTorVersion(`${id}: tor`, control.torVersion, 'runs'),
    progress === 100
      ? ok(`${id}: bootstrap`, summary)
      : warning(
          `${id}: bootstrap`,
          `${progress} %: ${summary}`,
          'Wait; or see whether the machine reaches the network',
        ),
    await checkIsolation(`${id}: isolation`, control, { socks: doors.socks, clock }, signal),
    ...judgeListeners(worker, config, await listenersOf(control, signal), doors),
    ...judgeSettings(`${id}: settings`, await settingsOf(control, signal), whose),
  ]
  const times = await control.getInfo(['consensus/valid-after', 'consensus/valid-until'], signal)
  const [validAfter, validUntil] = [times['consensus/valid-after'], times['consensus/valid-until']].map(parseUtcTime)
  const consensus = validAfter === undefined || validUntil === undefined ? undefined : { validAfter, validUntil }
  found.push(judgeConsensus(`${id}: consensus`, consensus, clock.now()))
  const guards = await control.guards(signal)
  found.push(
    judgeGuards(
      `${id}: guards`,
      guards.map(({ status }) => status),
    ),
  )
  const geoip = (await answerOf(control, 'ip-to-country/ipv4-available', signal)) ?? '0'
  found.push(judgeGeoip(`${id}: countries`, geoip === '1'))
  return found
}

function judgeListeners(
  worker: WorkerConfig,
  config: ServiceConfig,
  listeners: TorListeners,
  { socks }: TorDoors,
): readonly Finding[] {
  const name = `${worker.id}: listeners`
  switch (worker.kind) {
    case 'local': {
      const { parsed } = parseExtraLines([...config.tor.torrc, ...worker.torrc])
      const added = parsed.filter(({ option, value }) => OPENS_PORT.test(option) && value !== '0').length
      const path = 'path' in socks ? socks.path : ''
      const own = [path, path.replace(/socks$/, 'control')].map((each) => `unix:${each}`)
      return judgeLocalListeners(name, listeners, { own, added })
    }
    case 'openwrt':
      return judgeBoxListeners(name, listeners, worker.id)
    case 'external':
      return judgeExternalListeners(name, listeners)
  }
}

async function listenersOf(control: TorControl, signal: AbortSignal): Promise<TorListeners> {
  const answers = await Promise.all(
    LISTENER_KINDS.map(async (kind) => [kind, await answerOf(control, `net/listeners/${kind}`, signal)] as const),
  )
  return new Map(answers.map(([kind, text = '']) => [kind, text.match(/"(?:[^"\\]|\\.)*"/g)?.map(unquoted) ?? []]))
}

function unquoted(text: string): string {
  return text.slice(1, -1).replace(/\\(.)/g, '$1')
}

async function settingsOf(control: TorControl, signal: AbortSignal): Promise<TorSettings> {
  const answers = await Promise.all(
    // One by one, since Tor answers none of them when it does not know one.
    SETTINGS.map((option) => unlessUnknown(control.getConf([option], signal))),
  )
  return new Map(answers.flatMap((answer) => [...(answer ?? [])]))
}

async function answerOf(control: TorControl, key: string, signal: AbortSignal): Promise<string | undefined> {
  return (await unlessUnknown(control.getInfo([key], signal)))?.[key]
}

/** Undefined when this version of Tor does not know what it was asked for. */
async function unlessUnknown<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof ControlReplyError) return undefined
    throw error
  }
}

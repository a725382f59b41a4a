import type { Duplex } from 'node:stream'
import { systemRandom } from '../../lib/random.ts'
import { authenticate, type Credentials } from './authenticate.ts'
import { attachStream } from './commands/attach-stream.ts'
import { type CloseCircuitOptions, closeCircuit } from './commands/close-circuit.ts'
import { closeStream } from './commands/close-stream.ts'
import { type ExtendCircuitOptions, extendCircuit } from './commands/extend-circuit.ts'
import { getConf } from './commands/get-conf.ts'
import { getInfo, infoLines } from './commands/get-info.ts'
import { getKnown } from './commands/get-known.ts'
import { mapAddress } from './commands/map-address.ts'
import { newCircuits } from './commands/new-circuits.ts'
import {
  addOnionClientAuth,
  type OnionClientKey,
  removeOnionClientAuth,
  viewOnionClientAuth,
} from './commands/onion-client-auth.ts'
import type { ProtocolInfo } from './commands/protocol-info.ts'
import { resetConf } from './commands/reset-conf.ts'
import { type Setting, setConf } from './commands/set-conf.ts'
import { type Subscription, setEvents } from './commands/set-events.ts'
import { type SignalName, sendSignal } from './commands/signal.ts'
import { takeOwnership } from './commands/take-ownership.ts'
import { ControlConnection, type ControlConnectionOptions } from './connection.ts'
import { type ControlError, ControlReplyError, ProtocolError } from './errors.ts'
import { type Circuit, parseCircuit } from './events/circuit.ts'
import type { ControlEvent, EventOf, EventType } from './events/event.ts'
import { type Guard, parseGuard } from './events/guard.ts'
import { type OrConnection, parseOrConnection } from './events/or-connection.ts'
import { type Bootstrap, parseStatus } from './events/status.ts'
import { parseStream, type Stream } from './events/stream.ts'
import { type Microdescriptor, parseMicrodescriptor } from './microdescriptor.ts'
import { parseRouterStatuses, type RouterStatus } from './router-status.ts'
import { splitFields } from './text.ts'

/**
 * A Tor under control: an authenticated connection and its commands. Commands reject with ControlReplyError when Tor
 * refuses, with the reason of the end when the connection ends, and with the signal's reason when aborted.
 */
export class TorControl implements AsyncDisposable {
  readonly #connection: ControlConnection
  readonly #protocol: ProtocolInfo
  #subscribed: readonly string[] = []

  /** Connects to the unix socket at `path` and authenticates. */
  static async open(
    path: string,
    credentials: Credentials,
    options: ControlConnectionOptions,
    signal: AbortSignal,
  ): Promise<TorControl> {
    return await TorControl.#authenticated(await ControlConnection.open(path, options, signal), credentials, signal)
  }

  /** Authenticates on `stream`, which is connected; it is closed on failure. */
  static async over(
    stream: Duplex,
    credentials: Credentials,
    options: ControlConnectionOptions,
    signal: AbortSignal,
  ): Promise<TorControl> {
    return await TorControl.#authenticated(new ControlConnection(stream, options), credentials, signal)
  }

  static async #authenticated(connection: ControlConnection, credentials: Credentials, signal: AbortSignal) {
    return new TorControl(connection, await authenticate(connection, credentials, systemRandom, signal))
  }

  private constructor(connection: ControlConnection, protocol: ProtocolInfo) {
    this.#connection = connection
    this.#protocol = protocol
  }

  get torVersion(): string {
    return this.#protocol.torVersion
  }

  /** Why the connection ended; undefined while it is open. */
  get closedBy(): ControlError | undefined {
    return this.#connection.closedBy
  }

  onClose(listener: (reason: ControlError) => void): Disposable {
    return this.#connection.onClose(listener)
  }

  /** Calls `listener` with each event of one type. Tor sends those that `subscribe` asked for. */
  on<T extends EventType>(type: T, listener: (event: EventOf<T>) => void): Disposable {
    return this.#connection.onEvent((event) => {
      if (isEventOf(type, event)) listener(event)
    })
  }

  onEvent(listener: (event: ControlEvent) => void): Disposable {
    return this.#connection.onEvent(listener)
  }

  /** From now on these events and no others. Listen first, subscribe, then ask for the state: so nothing is missed. */
  async subscribe(events: readonly string[], signal: AbortSignal): Promise<Subscription> {
    const subscription = await setEvents(this.#connection, events, signal)
    this.#subscribed = subscription.subscribed
    return subscription
  }

  getInfo<const Key extends string>(keys: readonly Key[], signal: AbortSignal) {
    return getInfo(this.#connection, keys, signal)
  }

  getConf(options: readonly string[], signal: AbortSignal) {
    return getConf(this.#connection, options, signal)
  }

  setConf(settings: readonly Setting[], signal: AbortSignal): Promise<void> {
    return setConf(this.#connection, settings, signal)
  }

  resetConf(options: readonly string[], signal: AbortSignal): Promise<void> {
    return resetConf(this.#connection, options, signal)
  }

  signal(name: SignalName, signal: AbortSignal): Promise<void> {
    return sendSignal(this.#connection, name, signal)
  }

  /** Resolves once Tor uses new circuits for new streams: up to 10 s. Subscribe to SIGNAL before. */
  async newCircuits(signal: AbortSignal): Promise<void> {
    if (!this.#subscribed.includes('SIGNAL')) {
      throw new TypeError('Cannot wait for new circuits: the connection is not subscribed to SIGNAL events')
    }
    await newCircuits(this.#connection, signal)
  }

  mapAddress(mappings: readonly { readonly from: string; readonly to: string }[], signal: AbortSignal) {
    return mapAddress(this.#connection, mappings, signal)
  }

  closeStream(streamId: string, signal: AbortSignal): Promise<void> {
    return closeStream(this.#connection, streamId, signal)
  }

  closeCircuit(circuitId: string, options: CloseCircuitOptions, signal: AbortSignal): Promise<void> {
    return closeCircuit(this.#connection, circuitId, options, signal)
  }

  /** `onOrdered` is called with its id before any event that tells of the circuit. */
  extendCircuit(
    options: ExtendCircuitOptions,
    signal: AbortSignal,
    onOrdered?: (circuitId: string) => void,
  ): Promise<string> {
    return extendCircuit(this.#connection, options, signal, onOrdered)
  }

  attachStream(streamId: string, circuitId: string, signal: AbortSignal): Promise<void> {
    return attachStream(this.#connection, streamId, circuitId, signal)
  }

  addOnionClientAuth(key: OnionClientKey, signal: AbortSignal) {
    return addOnionClientAuth(this.#connection, key, signal)
  }

  removeOnionClientAuth(address: string, signal: AbortSignal): Promise<boolean> {
    return removeOnionClientAuth(this.#connection, address, signal)
  }

  viewOnionClientAuth(signal: AbortSignal) {
    return viewOnionClientAuth(this.#connection, signal)
  }

  takeOwnership(signal: AbortSignal): Promise<void> {
    return takeOwnership(this.#connection, signal)
  }

  circuits(signal: AbortSignal): Promise<readonly Circuit[]> {
    return this.#list('circuit-status', parseCircuit, signal)
  }

  streams(signal: AbortSignal): Promise<readonly Stream[]> {
    return this.#list('stream-status', parseStream, signal)
  }

  orConnections(signal: AbortSignal): Promise<readonly OrConnection[]> {
    return this.#list('orconn-status', parseOrConnection, signal)
  }

  guards(signal: AbortSignal): Promise<readonly Guard[]> {
    return this.#list('entry-guards', parseGuard, signal)
  }

  async bootstrap(signal: AbortSignal): Promise<Bootstrap> {
    const bootstrap = parseStatus(await this.#value('status/bootstrap-phase', signal))?.bootstrap
    if (bootstrap === undefined) throw new ProtocolError('Cannot read status/bootstrap-phase: there is no PROGRESS')
    return bootstrap
  }

  /** The addresses on which Tor listens for clients, `127.0.0.1:9050` or `unix:/path`. */
  async listeners(kind: 'socks' | 'trans' | 'dns' | 'control', signal: AbortSignal): Promise<readonly string[]> {
    return splitFields(await this.#value(`net/listeners/${kind}`, signal), Infinity).words
  }

  /** The relay as the consensus lists it; undefined when it does not. */
  async relay(fingerprint: string, signal: AbortSignal): Promise<RouterStatus | undefined> {
    try {
      return parseRouterStatuses(await this.#value(`ns/id/${fingerprint}`, signal))[0]
    } catch (error) {
      if (error instanceof ControlReplyError && error.code === 552) return undefined
      throw error
    }
  }

  /** All relays of the consensus: 4 to 5 MB on the public network. */
  async relays(signal: AbortSignal): Promise<readonly RouterStatus[]> {
    return parseRouterStatuses(await this.#value('ns/all', signal))
  }

  /** By fingerprint; of relays whose microdescriptor Tor does not have (yet) there is none. */
  async microdescriptors(
    fingerprints: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Microdescriptor>> {
    const prefix = 'md/id/'
    const keys = fingerprints.map((fingerprint) => `${prefix}${fingerprint}`)
    const descriptors = new Map<string, Microdescriptor>()
    for await (const some of getKnown(this.#connection, keys, signal))
      for (const [key, text] of some) descriptors.set(key.slice(prefix.length), parseMicrodescriptor(text))
    return descriptors
  }

  /**
   * Where IPv4 addresses are, by Tor's GeoIP database: two lower-case letters, by address; those that are not in it are left out.
   * Undefined when Tor has no such database.
   */
  async countries(addresses: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, string> | undefined> {
    if ((await this.#value('ip-to-country/ipv4-available', signal)) !== '1') return undefined
    const prefix = 'ip-to-country/'
    const keys = [...new Set(addresses)].map((address) => `${prefix}${address}`)
    const countries = new Map<string, string>()
    for await (const some of getKnown(this.#connection, keys, signal))
      for (const [key, country] of some)
        if (/^[a-z]{2}$/i.test(country)) countries.set(key.slice(prefix.length), country.toLowerCase())
    return countries
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#connection[Symbol.asyncDispose]()
  }

  async #list<T>(key: string, parse: (line: string) => T | undefined, signal: AbortSignal): Promise<readonly T[]> {
    const value = await this.#value(key, signal)
    return infoLines(value).map((line) => {
      const item = parse(line)
      if (item === undefined) throw new ProtocolError(`Cannot read ${key}: a line lacks its first words`)
      return item
    })
  }

  async #value(key: string, signal: AbortSignal): Promise<string> {
    const { [key]: value = '' } = await this.getInfo([key], signal)
    return value
  }
}

function isEventOf<T extends EventType>(type: T, event: ControlEvent): event is EventOf<T> {
  return event.type === type
}

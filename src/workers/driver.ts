import type { Socket } from 'node:net'
import type { Identity } from '../domain/identity.ts'
import type { Exit, PathRelay, Route, Target, WorkerKind } from '../domain/worker.ts'

/** A byte stream to a target through a worker. */
export interface WorkerConnection {
  /** Connected: the worker has said that the far end answers, unless it is unconfirmed. The caller owns it and destroys it. */
  readonly socket: Socket
  readonly route: Route
  /**
   * True when nobody has said that the far end answers, because the route does not tell and the control port cannot be heard:
   * then an end without a byte may be the target's fault or Tor's.
   */
  readonly isUnconfirmed?: true
  /**
   * The exit of this connection's circuit, asked of the worker's own Tor. Resolves to undefined for an onion service,
   * without a control port, and after `waitMs` at most when Tor does not tell. Never rejects.
   */
  exit(waitMs: number): Promise<Exit | undefined>
  /**
   * The relays of that circuit, guard first: for an onion service as far as the rendezvous point. Left out where nobody can tell;
   * else as `exit`.
   */
  path?(waitMs: number): Promise<readonly PathRelay[] | undefined>
}

export interface ConnectOptions {
  /**
   * What the client says first, some KiB at most: it leaves before anybody knows whether the target answers, where the route can do
   * that, and saves a round trip. When the connect fails it may have been delivered, so only what may be sent twice.
   */
  readonly earlyData?: Uint8Array
  /** Whoever asked tells a success on at once, so it may not be an unconfirmed one. */
  readonly mustBeConfirmed?: boolean
  /** A check of the worker: it is not held up where other new identities have to wait for a circuit. */
  readonly isCheck?: boolean
}

/** What a worker knows of itself without asking anybody: free to read at any time. */
export interface WorkerObservation {
  /**
   * `running` says that the process is there, not that it works. Of a Tor whose process cannot be seen, it says that it has
   * answered and was not lost since.
   */
  readonly process: 'stopped' | 'starting' | 'running' | 'exited' | 'unknown'
  readonly pid: number | undefined
  /**
   * 0 to 100, with Tor's own tag and summary. Without a control port nobody knows: 100, with the tag `unknown`, once the SOCKS
   * port answers.
   */
  readonly bootstrap: { readonly progress: number; readonly tag: string; readonly summary: string }
  readonly torVersion: string | undefined
  readonly startedAt: number | undefined
  /** Why it is not running when it should be, or what is wrong although it is of use. */
  readonly problem: string | undefined
}

/** What is known of a Tor's circuits by its events. */
export interface CircuitFigures {
  /** Built, and not closed. */
  readonly open: number
  /** Of those: to exits, and used by nobody yet. */
  readonly clean: number
  /** Since Tor was turned to. */
  readonly built: number
  readonly failed: number
}

export type DriverEvent =
  /** The bootstrap moved on. */
  | { readonly type: 'progressed'; readonly progress: number }
  /**
   * Tor went away without having been asked to: a definitive fact, told at once and once for each loss. One that is no process
   * of ours is lost when its control connection ends and its SOCKS port does not answer, or refuses.
   */
  | { readonly type: 'lost'; readonly reason: string }
  /** Tor built `circuits` circuits for one stream within `ms` and would have gone on: the stream was closed. */
  | { readonly type: 'storm-stopped'; readonly circuits: number; readonly ms: number }
  /** Tor does not keep identities apart. `missing` are the fields (of Tor's ISO_FIELDS) that it should isolate by. */
  | { readonly type: 'isolation-missing'; readonly missing: readonly string[] }
  /** Another machine answers in the place of its box, or one that poses as it: nothing is sent to it. */
  | { readonly type: 'untrusted'; readonly reason: string }
  /** It is the box again that it was. */
  | { readonly type: 'trusted' }
  /** What is wrong with its box, or with the way to it, although its Tor may work; empty when nothing is any more. */
  | { readonly type: 'ailing'; readonly ailments: readonly string[] }

/** What came of an order for new circuits. */
export interface NewCircuits {
  /** When Tor acted, in milliseconds since the epoch. */
  readonly actedAt: number
  /** The exits of the circuits that identities were using until then, each once. */
  readonly exitsBefore: readonly Exit[]
  /**
   * The exits of the circuits that are built and have carried nothing yet, each once: a new stream takes one of them, or one
   * that is not built yet, so this is a likelihood and may be empty. Which exit an identity has got, only its
   * next connection's `exit()` tells; it may be the one from before.
   */
  readonly exitsAfter: readonly Exit[]
}

/** What a worker's Tor tells of itself when asked. Undefined is what it did not tell, or not in time. */
export interface WorkerInspection {
  readonly circuits: readonly InspectedCircuit[] | undefined
  readonly guards: readonly InspectedGuard[] | undefined
  /** Bytes since Tor's start, all that Tor needs for itself included. */
  readonly traffic: { readonly readBytes: number; readonly writtenBytes: number } | undefined
  readonly torVersion: string | undefined
  /** Milliseconds since the epoch. A consensus that is past `validUntil` is of no use to Tor. */
  readonly consensus:
    | { readonly validAfter: number; readonly freshUntil: number; readonly validUntil: number }
    | undefined
  /** What Tor noticed last about its clock: positive when it is ahead. */
  readonly clockSkew: { readonly seconds: number; readonly noticedAt: number } | undefined
  /** Where Tor listens for SOCKS: `127.0.0.1:9050`, `unix:/path`. */
  readonly socksListeners: readonly string[] | undefined
}

export interface InspectedCircuit {
  readonly id: string
  /** As Tor says it: `LAUNCHED`, `EXTENDED`, `BUILT`, ... */
  readonly status: string
  /** As Tor says it: `GENERAL`, `HS_CLIENT_REND`, ... */
  readonly purpose: string | undefined
  /** Guard first, exit last; as far as it is built. Addresses and countries are left out where Tor does not tell them. */
  readonly path: readonly {
    readonly nickname: string | undefined
    readonly fingerprint: string
    readonly address?: string
    readonly country?: string
  }[]
  /** Milliseconds since the epoch. */
  readonly createdAt: number | undefined
  /** Whether it belongs to an identity. */
  readonly isTaken: boolean
}

export interface InspectedGuard {
  readonly nickname: string | undefined
  readonly fingerprint: string
  /** As Tor says it: `up`, `down`, `never-connected`, `unusable`, `unlisted`. */
  readonly status: string
  /** Since when it is unusable or unlisted, in milliseconds since the epoch. */
  readonly since: number | undefined
}

export const NOTHING_KNOWN: WorkerInspection = {
  circuits: undefined,
  guards: undefined,
  traffic: undefined,
  torVersion: undefined,
  consensus: undefined,
  clockSkew: undefined,
  socksListeners: undefined,
}

/** What a box says of itself when asked, and what is known of the way to it. */
export interface HostInspection {
  /** Of our SSH connection: `connected`, or why not. */
  readonly ssh: string
  /** Undefined when nobody could tell. `handshakeAgeMs` is undefined when there never was one. */
  readonly tunnel: { readonly handshakeAgeMs: number | undefined; readonly problems: readonly string[] } | undefined
  /** What its own health script wrote last, and how long ago. */
  readonly node: NodeView | undefined
}

export interface NodeView {
  /** As the script says it: `HEALTHY`, `DEGRADED`, `RESTARTING`, `OFFLINE`, ... */
  readonly state: string
  readonly reason: string | undefined
  readonly ageMs: number
  /** Whether it is restarting Tor just now. */
  readonly isMending: boolean
}

export interface HostOrder {
  readonly isForced: boolean
  /**
   * The token of the lease to heal the worker, where several gateways reach it. The machine refuses an order with a lower one than
   * it has seen since its boot.
   */
  readonly fence?: number | undefined
}

/** The machine of a worker, where it is not ours: what recovery can do there. All reject with the reason when it cannot be done. */
export interface WorkerHost {
  /** Its SSH answers, and it is the machine that it was. */
  reach(signal: AbortSignal): Promise<void>
  /** What its own health script wrote last; undefined when there is none. */
  nodeStatus(signal: AbortSignal): Promise<NodeView | undefined>
  /** SOCKS answers on the machine itself, whatever the tunnel does. */
  greetSocks(signal: AbortSignal): Promise<void>
  /** Restarts Tor, by force when it hangs, and resolves once it is bootstrapped, as it tells on the machine itself. */
  restartTor(order: HostOrder, signal: AbortSignal): Promise<void>
  /** Resolves once Tor runs and is bootstrapped, without doing anything for it. */
  awaitTor(signal: AbortSignal): Promise<void>
  /**
   * Makes the tunnel anew, at both ends, and sees a byte come back through it. One through which bytes come back is left alone,
   * unless it is forced.
   */
  reconnectTunnel(order: HostOrder, signal: AbortSignal): Promise<void>
  /** Takes up again a Tor that was lost and is there, without giving any order. Rejects when it is not. */
  reattach(signal: AbortSignal): Promise<void>
  /** Reboots it, and resolves once it shows that it did. `fence`: as in `HostOrder`. */
  reboot(signal: AbortSignal, fence?: number): Promise<void>
  inspect(signal: AbortSignal): Promise<HostInspection>
}

/**
 * The code that manages one kind of worker. `test/contracts/driver-contract.ts` checks every sentence that is here.
 */
export interface WorkerDriver extends AsyncDisposable {
  readonly id: string
  readonly kind: WorkerKind
  /** Only of a worker on a box. */
  readonly host?: WorkerHost
  /** Only of a worker whose Tor another gateway runs: has that one restart it, and resolves once it is up again there. */
  restart?(signal: AbortSignal): Promise<void>

  observe(): WorkerObservation

  /** Undefined where nobody tells. Left out where nobody ever does. Free to read at any time. */
  circuits?(): CircuitFigures | undefined

  /**
   * Brings Tor up and resolves once it is bootstrapped (`progress` 100). Safe to call on a worker that is up: resolves
   * at once and changes nothing. Calls at the same time share one start, which is aborted when all of them are. Rejects
   * with `worker_unreachable` when Tor cannot be started or exits on its way, and with the signal's reason when aborted,
   * leaving no process and no connection behind. A Tor that somebody else runs is turned to: it must be up already, and with a
   * control port it is proven to keep identities apart.
   */
  start(signal: AbortSignal): Promise<void>

  /**
   * Ends Tor (one that somebody else runs is let go of, and goes on), gracefully and then by force, and resolves once it is gone; the guards are kept for the next start.
   * Connections through the worker end. Safe on a worker that is down. A start that is going on is aborted. A signal that
   * aborts ends the patience, not the stop: Tor is ended by force at once, as befits one that hangs.
   */
  stop(signal: AbortSignal): Promise<void>

  /**
   * Opens a stream to `target`. A name is sent to Tor as it is and resolved by the exit. Streams of two identities never
   * share a circuit. Rejects with the `CbtorError` of the fault (`worker_unreachable` when the worker is down, else a
   * row of the Tor and target tables), or with the signal's reason when aborted, leaving no socket behind. A stream for
   * which Tor builds circuit after circuit is closed before it does harm: `no_usable_exit`, and an event. A worker that
   * turns out not to keep identities apart tells so by an event and takes no stream from then on: `worker_unreachable`.
   * An identity that is new to the worker waits for a circuit, some seconds at most; where the budget for circuits is spent by then:
   * `overloaded`.
   * Without a control port neither of the two can be seen. An identity that demands certain exits gets one of those or none:
   * `no_exit_for_country_port` when there are too few, without a circuit; `exit_rule_unsupported` where exits cannot be chosen.
   */
  connect(target: Target, identity: Identity, signal: AbortSignal, options?: ConnectOptions): Promise<WorkerConnection>

  /**
   * Asks an exit for an address of a name, as this identity (Tor's RESOLVE). Rejects as `connect` does, and with
   * `resolve_unsupported` where Tor makes up addresses of its own.
   */
  resolve(host: string, identity: Identity, signal: AbortSignal): Promise<string>

  /** Nobody will ask for this identity again: the circuits that were its alone may go. Takes effect soon, if it can. */
  forget(identity: Identity): void

  /**
   * Whether Tor answers: its control port a question, its SOCKS port a greeting with user name and password, and its DNSPort
   * where names go there. Makes no stream and leaves no socket behind, so it tells nothing of the network. Resolves when all
   * have answered (a control port that may be lost while Tor is well is not waited for), else rejects with `worker_unreachable`, which says who did not; a Tor that hangs does so until `signal` aborts.
   */
  pulse(signal: AbortSignal): Promise<void>

  /**
   * Gives new streams other circuits than those that were used until now; connections that exist stay where they are.
   * Resolves once Tor has acted, at `newCircuitsActAt()`: it does so at once, but not twice in 10 s. Rejects with
   * `worker_unreachable` when Tor cannot be asked, `conflict` when it has no control port, or with the signal's reason; then Tor may act all the same.
   */
  newCircuits(signal: AbortSignal): Promise<NewCircuits>

  /** When an order for new circuits that is given now would take effect, in milliseconds since the epoch. */
  newCircuitsActAt(): number

  /**
   * Asks Tor for everything that it knows of itself. Resolves within 2 s and as soon as `signal` aborts, with what is
   * known by then: a worker that is down or hangs has nothing to tell. Never rejects.
   */
  inspect(signal: AbortSignal): Promise<WorkerInspection>

  /**
   * Resolves once at least 2 circuits to exits are built that no identity uses, so that the next two identities need not
   * wait. Has Tor build them where they are missing. Rejects with `tor_timeout` when that takes longer than 30 s, with
   * `worker_unreachable` when Tor cannot be asked, and with the signal's reason when aborted.
   */
  warmUp(signal: AbortSignal): Promise<void>

  /** Calls `listener` with each event. Dispose to stop listening. */
  onEvent(listener: (event: DriverEvent) => void): Disposable

  /** Stops a Tor of our own, lets go of any other, and frees everything. */
  [Symbol.asyncDispose](): Promise<void>
}

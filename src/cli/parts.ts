import type { Readable } from 'node:stream'
import type { Command } from 'commander'
import type { ApiClient } from '../client/client.ts'
import type { ServiceConfig } from '../config/read-config.ts'
import type { Clock } from '../lib/clock.ts'
import type { BoxParts } from './commands/box-commands.ts'
import type { TopFlags } from './commands/top.ts'
import type { FetchFlags } from './fetch-order.ts'
import type { ServiceFlags } from './flags.ts'
import type { Terminal } from './terminal.ts'

/** A service that answers. Disposing it ends it, its workers included. */
export interface RunningService extends AsyncDisposable {
  /** Of the API, without a slash at its end: `http://127.0.0.1:32211`. */
  readonly url: string
  /** The key that may everything, if it was made at this start. */
  readonly adminKey: string | undefined
  /** Where programs that speak to proxies find it, as they write it; undefined where it is off. */
  readonly proxy: { readonly http: string | undefined; readonly socks: string | undefined }
  /** Reads the configuration anew, and applies what can be applied. Rejects with a `ConfigError` of one that has faults. */
  reload(): Promise<unknown>
  /** Process ids of the local workers that run, by worker id. */
  pids(): Readonly<Record<string, number>>
  /** Resolves once every worker that should run has become healthy. */
  ready(signal: AbortSignal): Promise<void>
}

/** A private Tor network that clients can use. Disposing it leaves nothing behind. */
export interface RunningTestNetwork extends AsyncDisposable {
  /** Removed with the network, whatever happens. */
  readonly directory: string
  readonly caFile: string
  readonly isolation: 'namespace' | 'loopback'
  /** What is lost where namespaces are not allowed, a sentence each. */
  readonly lost: readonly string[]
  /** Of sites, without a slash at the end. */
  readonly urls: Readonly<Record<'check' | 'httpsCheck' | 'www' | 'httpsWww' | 'onion' | 'privateOnion', string>>
  clientCommand(): readonly string[]
  /** `client`: a number of the client's own, by which it can be cut off. */
  clientTorrc(options?: { readonly client?: number }): readonly string[]
  /** Everything that this client sends and is sent gets lost from now on, or no longer. */
  blackhole(client: number, isDark: boolean): Promise<void>
}

export interface TestNetworkProgress {
  readonly done: number
  readonly total: number
  readonly text: string
}

export interface TestNetworkOptions {
  readonly latencyMs?: number
  readonly onProgress?: (progress: TestNetworkProgress) => void
}

/** How long a shared store that cannot be reached may take to come. */
export interface StoreWait {
  /** `Infinity`: until the user asks to end. */
  readonly ms: number
  /** Told what is waited for: when it begins, and when the reason is another. */
  onWait(reason: string): void
}

/** Who has started the program and wants to know how the service is: systemd. */
export interface ServiceManager {
  /** It serves, for the first time or again. */
  ready(status: string): Promise<void>
  /** It reads its configuration anew, until it is `ready()`. */
  reloading(): Promise<void>
  /** It ends; those who are being served have `drainMs`. */
  stopping(drainMs: number): Promise<void>
}

/** What the commands need of the rest of the program and of the process; `main` hands it in. */
export interface CliParts {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly out: TextOutput
  readonly err: TextOutput
  /** Absent where nothing can be read. */
  readonly stdin?: Readable
  /** Absent unless both ends are one. */
  readonly terminal?: Terminal
  readonly clock: Clock
  /** Aborts when the user asks to end (Ctrl-C). */
  readonly signal: AbortSignal
  /** Asks the user a question of yes or no; absent when nobody sits at a terminal. */
  readonly confirm?: (question: string) => Promise<boolean>
  /** Absent when nobody wants to know. */
  readonly manager?: ServiceManager
  /** `reread`: reads the configuration anew; without it there is nothing to be read. Rejects with a `StoreError` of a shared store. */
  createService(
    config: ServiceConfig,
    signal: AbortSignal,
    reread?: () => ServiceConfig,
    storeWait?: StoreWait,
  ): Promise<RunningService>
  /** Calls `listener` at each SIGHUP instead of taking it for an interrupt, until it is disposed. Absent where there are no signals. */
  onHangup?(listener: () => void): Disposable
  createTestNetwork(options: TestNetworkOptions, signal: AbortSignal): Promise<RunningTestNetwork>
}

/** A machine as it comes, that lets us in by SSH. */
export interface RunningBox {
  readonly n: number
  readonly name: string
  readonly address: string
  /** `SHA256:…` */
  readonly hostKey: string
  /** Runs a script in it, without SSH, and resolves with what it printed. Rejects when it fails. */
  read(script: string, stdin?: string): Promise<string>
}

/** A private Tor network with OpenWrt boxes on it. Disposing it leaves nothing behind. */
export interface RunningBoxNetwork extends AsyncDisposable {
  readonly network: RunningTestNetwork
  readonly boxes: readonly RunningBox[]
  /** A private key that every box accepts for root. */
  readonly clientKeyFile: string
}

/** This process's place in a network namespace of its own. Dispose it to let nobody in any longer. */
export interface EnteredHost extends Disposable {
  /** A process of that namespace, as the user's programs know it. */
  readonly pid: number
  /** From now on those who call the address that is listened on outside reach what listens here. */
  open(host: string, port: number): void
}

/** Test boxes. They are wired to a network namespace, in which this program runs once more. */
export interface TestBoxParts {
  /** Undefined when boxes can be had on this machine, else what is missing and what to do about it, a sentence. */
  whyNot(signal: AbortSignal): Promise<string | undefined>
  /** Listens, runs this program in a new namespace, where it calls `enter()`, and resolves with its exit code. */
  runInHost(
    listen: { readonly host: string; readonly port: number },
    argv: (listen: string) => readonly string[],
    signal: AbortSignal,
  ): Promise<number>
  enter(signal: AbortSignal): Promise<EnteredHost>
  createNetwork(options: TestNetworkOptions, signal: AbortSignal): Promise<RunningBoxNetwork>
}

export interface DemoParts extends CliParts {
  readonly boxes: TestBoxParts
}

/** For commands that speak to a running service. */
export interface ServiceParts extends CliParts {
  /** A client of the service that the flags lead to, with the key that is at hand. Rejects when it is not said where it listens. */
  connect(flags: ServiceFlags): Promise<ApiClient>
}

/** What commands do, where that brings much that their help need not load. */
export interface WorkParts extends ServiceParts, BoxParts {
  fetchWork(): Promise<(url: string, flags: FetchFlags, parts: ServiceParts) => Promise<void>>
  /** The whole of the command line, with every command loaded. */
  program(): Promise<Command>
  topWork(): Promise<(flags: TopFlags, parts: ServiceParts) => Promise<void>>
}

export type CommandParts = DemoParts & WorkParts

export interface TextOutput {
  readonly isTTY?: boolean
  write(text: string | Uint8Array): unknown
}

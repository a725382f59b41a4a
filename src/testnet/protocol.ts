/**
 * What the outside and the inside of the network say to each other: JSON, one message a line, on the standard input
 * and output of the inside process. The end of its standard input tells it that nobody wants the network any more.
 */
import type { NetworkShape, Role } from './plan.ts'

export type DnsFault = 'ok' | 'nxdomain' | 'servfail' | 'timeout'

export interface LoggedQuery {
  /** In lower case. */
  readonly name: string
  readonly type: number
  readonly from: string
}

export interface LoggedRequest {
  readonly site: string
  readonly method: string
  /** The Host header as received. */
  readonly host: string
  /** Path and query as received. */
  readonly path: string
  readonly sourceAddress: string
  /** Counts the connections of all sites; two requests with the same number came over one connection. */
  readonly connectionId: number
  readonly rawHeaders: readonly (readonly [name: string, value: string])[]
  readonly tls: boolean
  readonly tlsSessionReused: boolean
  /** What the TLS client named (SNI) and what was agreed on (ALPN); empty without TLS, or when it said nothing. */
  readonly serverName: string
  readonly alpn: string
  /** When it came, in milliseconds since the epoch. */
  readonly at: number
}

export interface ProcessStatus {
  readonly name: string
  readonly role: Role
  readonly address: string
  readonly country: string
  /** Of a relay. */
  readonly fingerprint?: string
  /** As the outside knows it; undefined while the process is not running. */
  readonly pid: number | undefined
}

export interface OnionClientAuth {
  /** 32 bytes, as ONION_CLIENT_AUTH_ADD wants it (behind `x25519:`). */
  readonly privateKeyBase64: string
  readonly privateKeyBase32: string
  /** The content of a `*.auth_private` file of a client's ClientOnionAuthDir. */
  readonly fileLine: string
}

/** What the outside learns when the network is up. */
export interface NetworkFacts {
  readonly directory: string
  readonly caFile: string
  readonly geoipFile: string
  readonly clientTorrc: readonly string[]
  /** With `.onion`. */
  readonly onionAddress: string
  readonly privateOnionAddress: string
  readonly privateOnionAuth: OnionClientAuth
}

/** What the inside obeys, as if each command were a function. */
export interface Commands {
  create(shape: NetworkShape): NetworkFacts
  kill(process: { name: string }): void
  stop(process: { name: string }): void
  resume(process: { name: string }): void
  restart(process: { name: string }): void
  refusePorts(refusal: { exit: string; ports: readonly number[] }): void
  /** `address` is a client's. */
  blackhole(cut: { address: string; isDark: boolean }): void
  failDns(failure: { fault: DnsFault }): void
  requests(all: null): readonly LoggedRequest[]
  dnsQueries(all: null): readonly LoggedQuery[]
}

export type CommandName = keyof Commands
export type CommandParams<C extends CommandName> = Parameters<Commands[C]>[0]
export type CommandResult<C extends CommandName> = ReturnType<Commands[C]>

/** From outside. */
export type Request<C extends CommandName = CommandName> = {
  [Name in C]: { readonly id: number; readonly command: Name; readonly params: CommandParams<Name> }
}[C]

export interface Progress {
  readonly done: number
  readonly total: number
  readonly text: string
}

/** From inside. */
export type Report =
  | { readonly type: 'result'; readonly id: number; readonly result: unknown }
  | { readonly type: 'failed'; readonly id: number; readonly message: string }
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'processes'; readonly processes: readonly ProcessStatus[] }
  /** Sent first: where the network keeps its files, should the inside die without removing them. */
  | { readonly type: 'directory'; readonly directory: string }

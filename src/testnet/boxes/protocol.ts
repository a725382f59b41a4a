/**
 * What the outside and the inside of the rack say to each other: JSON, one message a line, on the standard input and
 * output of the inside process. The end of its standard input tells it that nobody wants the rack any more.
 */
export type PackageManager = 'opkg' | 'apk'

export interface BoxShape {
  readonly n: number
  /** Without tor and WireGuard, as a box is that has just been set up. */
  readonly isBare: boolean
  readonly packageManager: PackageManager
}

export interface RackShape {
  /** Where the rack may make a directory of its own. */
  readonly directory: string
  /** Where the read-only parts of the boxes' file systems are kept, from one rack to the next. */
  readonly layers: string
  /** A process in the network namespace of the private Tor network. */
  readonly networkPid: number
  /** The addresses that `blockRelays` blocks. */
  readonly relays: readonly string[]
  /** Makes a tor use the private network. */
  readonly clientTorrc: readonly string[]
  /** Where the private network's GeoIP file lies; boxes get a copy. */
  readonly geoipFile: string
  readonly boxes: readonly BoxShape[]
  /** From the end of a reboot's shutdown to the next boot. */
  readonly bootDelayMs: number
  /** Of `/tmp`, which is memory. */
  readonly tmpMb: number
  /** Of what a box may write to its flash. */
  readonly flashMb: number
}

export interface RackFacts {
  readonly clientKeyFile: string
  /** One line, as in `authorized_keys`. */
  readonly clientPublicKey: string
  /** `SHA256:…`, of box 1, 2, …, in the order of the shape. */
  readonly hostKeys: readonly string[]
}

export interface ExecResult {
  /** 128 + N when signal N ended it, as a shell says it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** How a box's connections to relays end: unanswered, or by a reset. */
export type BlockStyle = 'drop' | 'reset'

/** What a file of the flash is: kind and mode, owner, and content (`sha256:…`) or target of a link. */
export type SnapshotEntry = readonly [path: string, entry: string]

/** What the inside obeys, as if each command were a function. `n` is a box's number. */
export interface Commands {
  create(shape: RackShape): RackFacts
  exec(command: { n: number; script: string; stdin: string; limitMs: number }): ExecResult
  powerOn(box: { n: number }): void
  powerOff(box: { n: number }): void
  waitUp(box: { n: number; limitMs: number; after: string | null }): { bootId: string }
  plug(cable: { n: number; isPlugged: boolean }): void
  darken(box: { n: number; isDark: boolean }): void
  blockRelays(block: { n: number; style: BlockStyle | null }): void
  blockFeed(block: { n: number; isBlocked: boolean }): void
  snapshot(box: { n: number }): readonly SnapshotEntry[]
  console(box: { n: number }): readonly string[]
}

export type CommandName = keyof Commands
export type CommandParams<C extends CommandName> = Parameters<Commands[C]>[0]
export type CommandResult<C extends CommandName> = ReturnType<Commands[C]>

/** From outside. */
export type Request<C extends CommandName = CommandName> = {
  [Name in C]: { readonly id: number; readonly command: Name; readonly params: CommandParams<Name> }
}[C]

export interface PowerNews {
  readonly n: number
  readonly isOn: boolean
  /** How often it has been started so far. */
  readonly boots: number
}

/** From inside. */
export type Report =
  | { readonly type: 'result'; readonly id: number; readonly result: unknown }
  | { readonly type: 'failed'; readonly id: number; readonly message: string }
  | { readonly type: 'progress'; readonly text: string }
  | { readonly type: 'power'; readonly news: PowerNews }
  /** Sent first: where the rack keeps its files, should the inside die without removing them. */
  | { readonly type: 'directory'; readonly directory: string }

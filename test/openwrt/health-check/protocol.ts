/** What a request of the health check meets. */
export type SocksAnswer = 'answers' | 'refuses' | 'silent' | 'closes' | 'garbage'

/** How the scripted Tor behaves from now on. */
export interface TorPlan {
  /** What the requests to come meet, in their order; the last holds for all that follow. */
  readonly tests: readonly SocksAnswer[]
  /** What the control port does with a NEWNYM. */
  readonly control: 'obeys' | 'refuses' | 'silent'
  /** Whether a Tor that is told to start does. */
  readonly starts: boolean
  /** What `/etc/init.d/tor enabled` says. */
  readonly enabled: boolean
}

/** What the inside is made of. */
export interface BoxSpec {
  /** The directory that becomes the root; everything that has to be in it is, but what is mounted. */
  readonly root: string
  /** The size of its /tmp. */
  readonly tmpBytes: number
  /** Directories and files of this machine that are to be seen in the root, at the same paths. */
  readonly binds: readonly string[]
  /** A torrc for a real tor; without one, Tor is scripted. */
  readonly torrc?: string
}

export interface RunResult {
  readonly code: number | null
  /** What the script did, each line beginning with the state that its status file told at that moment. */
  readonly transcript: readonly string[]
  /** Every text that the status file had meanwhile. */
  readonly statuses: readonly string[]
}

export type TorVerb = 'start' | 'stop' | 'crash' | 'freeze'

export type Command =
  | { readonly type: 'run' }
  | { readonly type: 'sh'; readonly script: string }
  | { readonly type: 'plan'; readonly plan: TorPlan }
  | { readonly type: 'tor'; readonly verb: TorVerb }
  | { readonly type: 'torPid' }
  | { readonly type: 'grown'; readonly seconds: number }

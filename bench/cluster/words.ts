/** What the processes of the harness say to each other. Over the world's socket: an object of JSON a line. */

/** `dead`: its Tor has ended; `hung`: it answers nothing; `cut`: it answers, and reaches no relay. */
export type Ailment = 'dead' | 'hung' | 'cut'
/** What breaks by itself. What takes a reboot, after six attempts, takes longer than a gateway lives where one is killed every 20 s. */
export const AILMENTS: readonly Ailment[] = ['dead', 'hung']
export type WorkerState = 'well' | Ailment

/** A replica says who it is, what it orders, and whose check it makes. */
export type ToWorld =
  | { readonly type: 'hello'; readonly replica: string }
  | {
      readonly type: 'order'
      readonly id: number
      readonly step: 'restart' | 'reboot'
      readonly worker: string
      /** The token of its lease, where it says one. */
      readonly fence?: number | undefined
    }
  | { readonly type: 'checked'; readonly worker: string }

export type FromWorld =
  | { readonly type: 'state'; readonly worker: string; readonly state: WorkerState }
  /** An order was carried out, or not: then why. */
  | { readonly type: 'done'; readonly id: number; readonly error?: string }

/** What the harness asks of the world (by the channel of a forked process). */
export type ToWorldParent =
  | { readonly type: 'break'; readonly worker: string; readonly ailment: Ailment }
  /** Some that are well and that this replica checked last: their Tor ends. */
  | { readonly type: 'break-of'; readonly replica: string; readonly most: number }
  /** One after the other from now on, each after so long at most; 0: no more. */
  | { readonly type: 'break-each'; readonly everyMs: number }
  | { readonly type: 'report' }

/** All instants are epoch milliseconds. */
export interface Order {
  readonly worker: string
  readonly replica: string
  readonly step: 'restart' | 'reboot'
  readonly at: number
  /** Another replica, which lives, is at it, or has done it since the worker broke. */
  readonly isDouble: boolean
  /** An older token than one that was seen: a box refuses it. */
  readonly isStale: boolean
}

export interface Break {
  readonly worker: string
  readonly ailment: Ailment
  readonly at: number
  /** Who checked it last before. */
  readonly healer: string | undefined
  /** When somebody first set to work on it, and when it was well. */
  readonly orderedAt: number | undefined
  readonly wellAt: number | undefined
}

export interface WorldReport {
  readonly type: 'report'
  readonly orders: readonly Order[]
  readonly breaks: readonly Break[]
  /** By the name that each request has: how often it came, by its method. */
  readonly visits: {
    readonly posts: number
    readonly postsTwice: readonly string[]
    readonly gets: number
    readonly getsTwice: number
  }
  /** Checks of workers, by replica. */
  readonly checks: Readonly<Record<string, number>>
}

/** What a replica tells the harness once it listens and its workers are well. */
export interface ReplicaReady {
  readonly type: 'ready'
  readonly ms: number
}

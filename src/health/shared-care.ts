import { leasedWard } from './leased-ward.ts'
import { type Health, isFaultless } from './machine.ts'
import type { Ward } from './pool-governor.ts'
import type { ProbePace } from './probe-pace.ts'
import type { SharedChange, SharedWatch, WatchReport } from './shared-watch.ts'

/** What the monitor has of itself for its part of a shared watch. */
export interface CaredFor {
  readonly health: Health
  /** Whether it is wished to be stopped: then nothing is told of it. */
  readonly isStopped: boolean
  /** How long a host that reboots is left alone. */
  readonly rebootWaitMs: number
  /** It is another gateway's to heal now: what is being done to it ends. */
  endHealing(): void
  /** It became ours to heal. */
  takeOver(): void
  /** Another gateway has lost it, or does not find it well. */
  doubt(reason: string): void
  probeNow(): void
  /** As `probeNow`, though not again and again. */
  probeSoon(): void
}

/** The monitor's dealings with other gateways that reach the same worker. There are none for a worker that only we have. */
export class SharedCare {
  readonly ward: Ward
  /** Undefined for a worker that only we have. */
  readonly fence: (() => number | undefined) | undefined
  readonly #shared: SharedWatch | undefined
  #keep: Disposable | undefined
  #provenAt = Number.NEGATIVE_INFINITY
  /** The token of the lease under which it was last found ill. */
  #illUnder: number | undefined

  constructor(shared: SharedWatch | undefined, ward: Ward) {
    this.#shared = shared
    this.fence = shared && (() => shared.fence())
    this.ward = shared === undefined ? ward : leasedWard(ward, shared, () => shared.fence() === this.#illUnder)
  }

  /** Whether another one heals it, or nobody may. */
  get isElsewhere(): boolean {
    return this.#shared !== undefined && this.#shared.fence() === undefined
  }

  /** Hears the others and tells them, until disposed. */
  attend(worker: CaredFor): Disposable {
    const stack = new DisposableStack()
    const shared = this.#shared
    if (shared === undefined) return stack
    stack.use(shared.onChange((change) => this.#heard(change, worker, shared)))
    stack.use(shared.report(() => (worker.isStopped ? undefined : this.#report(worker.health))))
    stack.defer(() => this.#letGo())
    this.#noteElsewhere(worker, shared)
    return stack
  }

  /** It was seen to work. */
  proven(now: number): void {
    this.#provenAt = now
  }

  /** It was seen to fail, by a look that began under this lease. */
  foundIll(fence: number | undefined): void {
    this.#illUnder = fence
  }

  /** Its health is another one now. */
  turned(before: Health, after: Health): void {
    const isFall = before.status === 'healthy' && after.status !== 'healthy'
    if (isFall && this.isElsewhere) this.#shared?.tell('failing')
    this.#keepWhileHealing(after)
  }

  lost(): void {
    this.foundIll(this.fence?.())
    this.#shared?.tell('lost')
  }

  /** Puts the regular probe off that whoever heals it makes in our place. False when it is to be made. */
  putOff(pace: ProbePace, now: number): boolean {
    // What passes here shows that our uplink is there, and only that.
    if (this.#shared === undefined || !this.isElsewhere || this.ward.isUplinkSuspect) return false
    return pace.putOffUntil(this.#shared.elsewhere().wellUntil, now)
  }

  #heard(change: SharedChange, worker: CaredFor, shared: SharedWatch): void {
    switch (change) {
      case 'lease':
        if (this.isElsewhere) worker.endHealing()
        else worker.takeOver()
        this.#keepWhileHealing(worker.health)
        return
      case 'doubted':
        worker.doubt(`gateway ${shared.healer() ?? 'that heals it'} does not find it well`)
        return
      case 'lost':
        worker.doubt('another gateway has lost it')
        return
      case 'trusted':
        if (!isFaultless(worker.health)) worker.probeNow()
        return
      case 'failing':
        worker.probeSoon()
        return
      case 'healing':
        this.#noteElsewhere(worker, shared)
    }
  }

  /** The limits of the pool hold for all gateways together. */
  #noteElsewhere({ rebootWaitMs: waitMs }: CaredFor, shared: SharedWatch): void {
    const { isHealed, reboots: at } = shared.elsewhere()
    this.ward.tell({ type: 'healed-elsewhere', isHealed })
    if (at.length > 0) this.ward.tell({ type: 'rebooted-elsewhere', at, waitMs })
  }

  #report(health: Health): WatchReport {
    const isHealing = health.status === 'recovery' && health.phase !== 'waiting'
    const state = isHealing ? 'healing' : isFaultless(health) || health.status === 'starting' ? 'well' : 'ill'
    return { state, provenAt: this.#provenAt, reboots: this.ward.reboots }
  }

  #keepWhileHealing(health: Health): void {
    if (health.status !== 'recovery' || this.isElsewhere) this.#letGo()
    else this.#keep ??= this.#shared?.keep()
  }

  #letGo(): void {
    this.#keep?.[Symbol.dispose]()
    this.#keep = undefined
  }
}

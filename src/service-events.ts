import type { ConfigFault } from './config/config-error.ts'
import type { ServiceEvent } from './domain/events.ts'
import type { Reloaded } from './domain/reload.ts'
import { Events } from './events/events.ts'
import { Metrics, type MetricsSources } from './events/metrics.ts'
import { Problems } from './events/problems.ts'
import type { MonitorEvent } from './health/monitored.ts'
import type { PoolHealthEvent } from './health/pool-governor.ts'
import type { Clock } from './lib/clock.ts'
import { faultFields } from './lib/fault-fields.ts'
import type { Logger } from './lib/log.ts'
import type { PoolEvent } from './pool/pool.ts'
import type { DriverEvent } from './workers/driver.ts'

/** Its tunnels and requests have been told of by then. */
const FORGET_AFTER_MS = 1_000
const SHOWN_FAULTS = 5

/** Turns what the parts tell into the service's events and problems. */
export class ServiceEvents implements Disposable {
  readonly events: Events
  readonly metrics: Metrics
  readonly problems: Problems
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #isWorker: (id: string) => boolean
  readonly #forgetting = new Set<Disposable>()

  constructor(options: MetricsSources & { readonly clock: Clock; readonly logger: Logger }) {
    this.#logger = options.logger
    this.#clock = options.clock
    this.#isWorker = (id) => options.workers().some(({ worker }) => worker === id)
    this.metrics = new Metrics(options)
    this.events = new Events({ ...options, metrics: this.metrics })
    this.problems = new Problems({ clock: options.clock, record: (event) => this.events.record(event) })
  }

  ofWorker(worker: string, event: MonitorEvent | DriverEvent): void {
    const recorded = workerEvent(worker, event)
    if (recorded === undefined) {
      const { type, ...fields } = event
      this.#logger.debug({ worker, ...fields }, type)
    } else {
      this.events.record(recorded)
    }
    this.#updateProblems(worker, event)
    if (event.type === 'probe-ended') this.metrics.probeEnded(worker, event.verdict)
    if (
      event.type === 'recovery-step-ended' &&
      event.step.name === 'restart-tor' &&
      event.step.ok &&
      !event.step.skipped
    ) {
      this.events.record({ type: 'tor_restarted', worker, by: 'recovery' })
    }
  }

  ofPoolHealth(event: PoolHealthEvent): void {
    if (event.type === 'uplink-suspected') {
      const reason = `${event.workers.join(', ')} began to fail at the same time`
      this.events.record({ type: 'uplink_suspected', reason })
      this.problems.open('uplink_suspect', {
        severity: 'error',
        text: `${reason}, so the uplink or the check endpoints are suspected: no worker is restarted until one passes a check`,
      })
    } else {
      this.events.record({ type: 'uplink_cleared', reason: `${event.worker} passed a check` })
      this.problems.close('uplink_suspect')
    }
  }

  ofPool(event: PoolEvent, hasTakers: boolean): void {
    if (event.type === 'desired-changed') {
      this.events.record({ type: 'desired_changed', worker: event.worker, from: event.from, to: event.to })
      if (event.to === 'stopped') {
        for (const code of [
          'worker_dead',
          'worker_flapping',
          'worker_quarantined',
          'isolation_missing',
          'worker_untrusted',
        ] as const) {
          this.problems.close(code, event.worker)
        }
      }
    }
    if (event.type === 'joined') this.events.record({ type: 'worker_added', worker: event.worker })
    if (event.type === 'mode-changed') this.events.record({ type: 'mode_changed', from: event.from, to: event.to })
    if (hasTakers) this.problems.close('no_worker')
    else {
      const text = 'No worker takes requests: they are answered with no_worker until one is healthy and enabled again'
      this.problems.open('no_worker', { severity: 'error', text })
    }
  }

  /** The worker is none of the configuration any more. What is still counted for it in the moments after is forgotten, too. */
  forgetWorker(worker: string): void {
    this.problems.closeAllOf(worker)
    this.events.record({ type: 'worker_removed', worker })
    const timer = this.#clock.timer(FORGET_AFTER_MS, () => {
      this.#forgetting.delete(timer)
      const failed = (error: unknown) => this.#logger.error({ worker, ...faultFields(error) }, 'metrics stayed')
      if (!this.#isWorker(worker)) this.metrics.forgetWorker(worker).catch(failed)
    })
    this.#forgetting.add(timer)
  }

  configReloaded({ applied, workers, needsRestart }: Reloaded): void {
    this.events.record({
      type: 'config_reloaded',
      applied: applied.map(({ field }) => field),
      ...workers,
      needsRestart,
    })
  }

  /** Without the values, which may be targets. */
  configRefused(faults: readonly ConfigFault[]): void {
    const places = faults.slice(0, SHOWN_FAULTS).map(({ field, place }) => {
      const at = place?.kind === 'file' ? `line ${place.line}` : place?.name
      return [at, field].filter(Boolean).join(', ') || 'the file'
    })
    const more = faults.length > SHOWN_FAULTS ? ' …' : ''
    const reason = `it has ${faults.length} fault${faults.length === 1 ? '' : 's'}: ${places.join('; ')}${more}`
    this.events.record({ type: 'config_refused', reason })
  }

  /** Writes to the store; that it cannot be written is shown, and the service goes on with what it knows. */
  keep(write: () => void): void {
    try {
      write()
      this.problems.close('store_unwritable')
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.problems.open('store_unwritable', {
        severity: 'error',
        text: `The store cannot be written, so what operators ask for is lost at the next restart: ${reason}`,
      })
    }
  }

  [Symbol.dispose](): void {
    for (const timer of this.#forgetting) timer[Symbol.dispose]()
    this.problems[Symbol.dispose]()
    this.metrics[Symbol.dispose]()
  }

  #updateProblems(worker: string, event: MonitorEvent | DriverEvent): void {
    const { problems } = this
    switch (event.type) {
      case 'health-changed':
        if (event.to === 'dead') {
          problems.open('worker_dead', {
            worker,
            severity: 'warn',
            text: `${worker} takes no requests: ${event.reason}`,
          })
        }
        if (event.to === 'healthy' || event.to === 'suspect') problems.close('worker_dead', worker)
        if (event.to === 'healthy') problems.close('worker_flapping', worker)
        return
      case 'quarantined': {
        const text = `${worker} is left alone until it comes back by itself or the operator mends it: ${event.reason}`
        problems.open('worker_quarantined', { worker, severity: 'error', text })
        return
      }
      case 'quarantine-ended':
        problems.close('worker_quarantined', worker)
        return
      case 'held-down': {
        const text = `${worker} went in and out of health too often, so it takes requests only after the healthy ones`
        problems.open('worker_flapping', { worker, severity: 'warn', text })
        return
      }
      case 'isolation-missing': {
        const text = `The Tor of ${worker} does not isolate by ${event.missing.join(', ')}, so it takes no requests`
        problems.open('isolation_missing', { worker, severity: 'error', text })
        return
      }
      case 'untrusted':
        problems.open('worker_untrusted', {
          worker,
          severity: 'error',
          text: `${worker} is not trusted: ${event.reason}`,
        })
        return
      case 'ailing': {
        const text = `The box of ${worker}: ${event.ailments.join('; ')}`
        if (event.ailments.length === 0) problems.close('box_ailing', worker)
        else problems.open('box_ailing', { worker, severity: 'warn', text })
        return
      }
      case 'trusted':
        problems.close('worker_untrusted', worker)
        return
      case 'progressed':
        // Another Tor comes up.
        problems.close('isolation_missing', worker)
        return
    }
  }
}

/** The service's event for what happened to a worker; undefined for what is of use only when looking for a fault. */
function workerEvent(worker: string, event: MonitorEvent | DriverEvent): ServiceEvent | undefined {
  switch (event.type) {
    case 'health-changed':
      return { type: 'health_changed', worker, from: event.from, to: event.to, reason: event.reason }
    case 'recovery-started':
      return { type: 'recovery_started', worker, attempt: event.attempt }
    case 'recovery-step-ended': {
      const { name, ok, ms, error, skipped } = event.step
      return {
        type: 'recovery_step_ended',
        worker,
        attempt: event.attempt,
        step: name,
        ok,
        ms,
        ...(skipped && { skipped }),
        ...(error !== undefined && { error }),
      }
    }
    case 'recovery-ended': {
      const { attempt, ms, result } = event
      const error = result.ok ? undefined : result.steps.at(-1)?.error
      return { type: 'recovery_ended', worker, attempt, ok: result.ok, ms, ...(error !== undefined && { error }) }
    }
    case 'reboot-ordered':
      return { type: 'reboot_ordered', worker }
    case 'reboot-failed':
      return { type: 'reboot_refused', worker, reason: event.reason }
    case 'healing-held':
      return event.action === 'reboot' ? { type: 'reboot_refused', worker, reason: event.reason } : undefined
    case 'quarantined':
      return { type: 'worker_quarantined', worker, reason: event.reason }
    case 'quarantine-ended':
      return { type: 'worker_released', worker, reason: 'its time is up, or it came back' }
    case 'untrusted':
      return { type: 'worker_untrusted', worker, reason: event.reason }
    case 'trusted':
      return { type: 'worker_trusted', worker }
    case 'storm-stopped':
      return { type: 'storm_stopped', worker, circuits: event.circuits }
    default:
      return undefined
  }
}

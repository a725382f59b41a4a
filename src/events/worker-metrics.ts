import type { DesiredState, HealthState } from '../domain/worker.ts'
import type { Instruments } from './instruments.ts'

/** A worker as it is at the moment of a scrape. */
export interface WorkerGauges {
  readonly worker: string
  readonly health: HealthState
  readonly desired: DesiredState
  readonly receivesTraffic: boolean
  readonly leases: number
  /** 0 to 100. */
  readonly bootstrap: number
  /** Undefined where nobody can tell. */
  readonly circuits: CircuitGauges | undefined
  /** Since the start of the service. */
  readonly bytes: { readonly read: number; readonly written: number }
}

export interface CircuitGauges {
  readonly open: number
  /** Built, and used by nobody yet. */
  readonly clean: number
  /** Since its Tor was turned to. */
  readonly built: number
  readonly failed: number
}

const STATES: readonly HealthState[] = ['starting', 'healthy', 'suspect', 'dead', 'recovery']
const WISHES: readonly DesiredState[] = ['enabled', 'drained', 'stopped']

/** Registers what is asked of each worker at each scrape. */
export function registerWorkerMetrics(make: Instruments, workers: () => readonly WorkerGauges[]): void {
  make.gauge('worker_leases', 'Requests that hold the worker.', ['worker'], (gauge) => {
    for (const { worker, leases } of workers()) gauge.set({ worker }, leases)
  })
  make.gauge('worker_receives_traffic', '1 if the pool hands the worker out.', ['worker'], (gauge) => {
    for (const { worker, receivesTraffic } of workers()) gauge.set({ worker }, Number(receivesTraffic))
  })
  make.gauge(
    'worker_health',
    '1 for the state that the worker is in, 0 for the others.',
    ['worker', 'state'],
    (gauge) => {
      for (const { worker, health } of workers())
        for (const state of STATES) gauge.set({ worker, state }, Number(state === health))
    },
  )
  make.gauge(
    'worker_desired',
    '1 for what the operator asked for of the worker, 0 for the others.',
    ['worker', 'state'],
    (gauge) => {
      for (const { worker, desired } of workers())
        for (const state of WISHES) gauge.set({ worker, state }, Number(state === desired))
    },
  )
  make.gauge(
    'worker_bootstrap_ratio',
    "How far the worker's Tor has come up: 1 is all the way.",
    ['worker'],
    (gauge) => {
      for (const { worker, bootstrap } of workers()) gauge.set({ worker }, bootstrap / 100)
    },
  )
  make.gauge(
    'worker_circuits',
    'Circuits that are built: all that are open, and of those the clean ones, which nobody has used yet.',
    ['worker', 'state'],
    (gauge) => {
      for (const { worker, circuits } of workers()) {
        if (circuits === undefined) continue
        gauge.set({ worker, state: 'open' }, circuits.open)
        gauge.set({ worker, state: 'clean' }, circuits.clean)
      }
    },
  )
  make.counter('worker_circuits_total', 'Circuits that were built or failed.', ['worker', 'outcome'], (counter) => {
    for (const { worker, circuits } of workers()) {
      if (circuits === undefined) continue
      make.follow(counter, { worker, outcome: 'built' }, circuits.built)
      make.follow(counter, { worker, outcome: 'failed' }, circuits.failed)
    }
  })
  make.counter(
    'worker_bytes_total',
    "Bytes of callers' streams: read from the worker, and written to it.",
    ['worker', 'direction'],
    (counter) => {
      for (const { worker, bytes } of workers()) {
        make.follow(counter, { worker, direction: 'read' }, bytes.read)
        make.follow(counter, { worker, direction: 'written' }, bytes.written)
      }
    },
  )
}

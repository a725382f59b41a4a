import type { WorkerDriver } from '../driver.ts'

/** A worker of ours as other replicas may use it: they cannot start or stop its Tor, but for what `WorkerOrders` lets through. */
export type OfferedWorker = Pick<
  WorkerDriver,
  | 'id'
  | 'observe'
  | 'circuits'
  | 'connect'
  | 'resolve'
  | 'forget'
  | 'pulse'
  | 'newCircuits'
  | 'newCircuitsActAt'
  | 'inspect'
  | 'warmUp'
  | 'onEvent'
>

/** What an operator asks for at another replica, which is not a wish that all replicas know. It rejects as the same order here does. */
export interface WorkerOrders {
  restart(worker: string, signal: AbortSignal): Promise<void>
}

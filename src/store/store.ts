import type { Mode } from '../domain/exchange.ts'
import type { DesiredState } from '../domain/worker.ts'

/** What survives a restart. `test/contracts/store-contract.ts` is the promise that every store keeps. */
export interface Store extends Disposable {
  /** 32 bytes that all identities derive from; made with `generate` the first time it is asked for. */
  poolSecret(generate: () => Buffer): Buffer
  mode(): Mode | undefined
  setMode(mode: Mode): void
  /** By worker id; a worker that the operator never touched is not in it. */
  desiredStates(): ReadonlyMap<string, DesiredState>
  setDesiredState(workerId: string, desired: DesiredState): void
}

import type { Clock } from '../../lib/clock.ts'
import type { SshDestination } from '../../ssh/destination.ts'
import { type AccessRequest, openBox } from '../access.ts'
import type { BoxFile } from '../box-file.ts'
import { install } from './installer.ts'
import { planInstall } from './plan.ts'

export interface BoxInstallation {
  readonly destination: SshDestination
  readonly stateDirectory: string
  /** Private key that the box accepts. */
  readonly keyFile: string
  /** The box's host key, as its operator has read it. */
  readonly hostKey: string
  readonly id: string
  readonly tunnel: number
  readonly clock: Clock
  readonly onStep?: (name: string) => void
}

/** Turns one box into a worker, start to end, of which everything is known. Rejects as `planInstall` and `install` do. */
export async function installBox(request: BoxInstallation, signal: AbortSignal): Promise<BoxFile> {
  const { destination, stateDirectory, keyFile, hostKey, id, tunnel, clock, onStep = () => {} } = request
  const asked: AccessRequest = { destination, stateDirectory, known: undefined, keyFile, acceptHostKey: hostKey, clock }
  await using access = await openBox(asked, signal)
  const common = { destination, hostKey, keyFile: access.keyFile, stateDirectory, clock }
  const plan = await planInstall(access.box, { ...common, id, tunnel })
  await install({ box: access.box, plan, request: common, signal, onStep })
  return plan.boxFile
}

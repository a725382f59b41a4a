import { type ApiClient, ApiProblem, ApiUnreachable } from '../client/client.ts'
import { ConfigError } from '../config/read-config.ts'
import { SshError } from '../ssh/errors.ts'
import { StoreError } from '../store/store-error.ts'
import { EXIT, ExitWith } from './exit-with.ts'

export interface Failure {
  readonly exitCode: number
  /** What to tell, and what to do about it; empty when the user has been told. */
  readonly text: string
}

const WHERE_KEYS_ARE =
  'The key is taken from CBTOR_KEY, else from admin.key in the state directory of the service: see --state and --config'
const STORES_ARE_WAITED_FOR = 'To wait until it is there: cbtor up --wait-for-store'
const WHERE_SERVICES_ARE = 'Start it: cbtor up; or say where it is: --config FILE or --api URL'

/** `api`: the service that the command spoke to, if it did. */
export async function explainFailure(error: unknown, api: ApiClient | undefined): Promise<Failure> {
  // Of a failure, and another one on the way out, the first is what the user asks about.
  if (error instanceof SuppressedError) return await explainFailure(error.suppressed, api)
  if (error instanceof ExitWith) return { exitCode: error.exitCode, text: error.message }
  const text = error instanceof Error ? error.message : String(error)
  if (error instanceof ApiUnreachable) return { exitCode: EXIT.unreachable, text: `${text}. ${WHERE_SERVICES_ARE}` }
  if (error instanceof StoreError) {
    const isWorthWaiting = error.kind === 'unreachable' && !error.isWaitedFor
    return { exitCode: EXIT.store, text: isWorthWaiting ? `${text}. ${STORES_ARE_WAITED_FOR}` : text }
  }
  if (error instanceof ApiProblem) return { exitCode: EXIT.failed, text: `${text}${await hint(error, api)}` }
  return { exitCode: isUsage(error) ? EXIT.usage : EXIT.failed, text }
}

async function hint({ problem: { status, code } }: ApiProblem, api: ApiClient | undefined): Promise<string> {
  if (status === 401) return `. ${WHERE_KEYS_ARE}`
  if (code !== 'worker_not_found') return ''
  const workers = (await api?.workers().catch(() => undefined))?.workers ?? []
  const known = workers.slice(0, MAX_NAMED).map(({ id }) => id)
  if (known.length === 0) return ''
  return `. There ${known.length === 1 ? 'is' : 'are'} ${known.join(', ')}${workers.length > known.length ? ' and more: cbtor workers list' : ''}`
}

const MAX_NAMED = 20

/** Whether another command line or configuration would be right, whatever the state of things. */
function isUsage(error: unknown): boolean {
  return error instanceof ConfigError || (error instanceof SshError && error.fault === 'invalid')
}

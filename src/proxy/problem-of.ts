import { CbtorError } from '../domain/errors.ts'
import { faultFields } from '../lib/fault-fields.ts'
import type { PortOptions } from './port.ts'

/** What went wrong, as an error that a client may see. A bug goes to the log, without its message, which may quote a target. */
export function problemOf(error: unknown, { logger }: Pick<PortOptions, 'logger'>, kind: string): CbtorError {
  if (error instanceof CbtorError) return error
  logger.error({ port: kind, ...faultFields(error) }, 'request of a proxy client failed by a bug')
  return new CbtorError('internal', 'Cannot answer: an error of this service, which is in its log')
}

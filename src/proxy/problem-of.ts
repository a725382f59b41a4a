import { CbtorError } from '../domain/errors.ts'
import type { PortOptions } from './port.ts'

/** What went wrong, as an error that a client may see. A bug goes to the log, without its message, which may quote a target. */
export function problemOf(error: unknown, { logger }: Pick<PortOptions, 'logger'>, kind: string): CbtorError {
  if (error instanceof CbtorError) return error
  const { name, stack = '' } = error instanceof Error ? error : new Error(typeof error)
  const at = stack.split('\n').flatMap((line) => (/^\s+at /.test(line) ? line.trim() : []))
  logger.error({ port: kind, error: name, at }, 'request of a proxy client failed by a bug')
  return new CbtorError('internal', 'Cannot answer: an error of this service, which is in its log')
}

import { pino } from 'pino'

export type LogFields = Readonly<Record<string, unknown>>

/**
 * Log for the operator. `error`: mend it or report it; `warn`: a healthy system shows none; `info`: a change of state;
 * `debug`: each request. Keys, passwords, cookies, targets and bytes of traffic are never logged at any level.
 */
export interface Logger {
  error(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  debug(fields: LogFields, message: string): void
  child(fields: LogFields): Logger
}

export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'silent'

/** Writes one JSON object a line to `stream` (standard error by default; standard output is for answers). */
export function createLogger(level: LogLevel, stream: { write(line: string): void } = process.stderr): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, stream)
}

export const silentLogger: Logger = createLogger('silent')

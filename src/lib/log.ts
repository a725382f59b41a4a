import { type Logger as PinoLogger, pino } from 'pino'
import { prettyLine } from './pretty-log.ts'
import { unbroken } from './unbroken.ts'

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

/** From the quietest to the one that tells most. */
const LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const
export type LogLevel = (typeof LEVELS)[number]

/** The logger that all others are children of. */
export interface RootLogger extends Logger {
  /** From now on, for its children, too. */
  setLevel(level: LogLevel): void
}

/** `auto`: `pretty` on a terminal, `json` anywhere else. */
export const LOG_FORMATS = ['auto', 'json', 'pretty'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]

export interface LogStream {
  write(text: string): void
  readonly isTTY?: boolean
}

/**
 * Writes a line for each entry: a JSON object, or text for people, in colours only on a terminal and unless NO_COLOR is set.
 * By default to standard error, as standard output is for answers.
 */
export function createLogger(
  level: LogLevel,
  stream: LogStream = process.stderr,
  format: LogFormat = 'auto',
  env: Readonly<Record<string, string | undefined>> = process.env,
): RootLogger {
  const isTerminal = stream.isTTY === true
  const isPretty = format === 'pretty' || (format === 'auto' && isTerminal)
  const hasColours = isTerminal && !env.NO_COLOR
  const options = { level: 'debug', base: null, timestamp: pino.stdTimeFunctions.isoTime }
  const pretty = { write: (line: string) => stream.write(prettyLine(line, hasColours)) }
  const gate = { level }
  return {
    ...guarded(pino(options, isPretty ? pretty : stream), gate),
    setLevel(next) {
      gate.level = next
    },
  }
}

/** Nothing from outside breaks a line or steers a terminal, in whatever field it comes. The gate is that of all children. */
function guarded(log: PinoLogger, gate: { readonly level: LogLevel }): Logger {
  const at = (level: Exclude<LogLevel, 'silent'>) => (fields: LogFields, message: string) => {
    if (LEVELS.indexOf(level) > LEVELS.indexOf(gate.level)) return
    log[level](unbroken(fields), String(unbroken(message)))
  }
  return {
    ...{ error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') },
    child: (fields) => guarded(log.child(unbroken(fields) as LogFields), gate),
  }
}

export const silentLogger: Logger = createLogger('silent')

/**
 * The process that holds the tunnels of a service that runs as root: a child that hangs on its parent's pipe. On standard
 * output it tells in one line that it serves, or why not; see `spawn.ts`.
 */
import { parseArgs } from 'node:util'
import { onAbort } from '../../lib/abort.ts'
import { systemClock } from '../../lib/clock.ts'
import { crashWithoutSecrets } from '../../lib/crash.ts'
import { createLogger, type LogFormat, type LogLevel } from '../../lib/log.ts'
import { requireNetAdmin } from '../capability.ts'
import { SystemHost } from '../system-host.ts'
import { isListening } from './client.ts'
import { formatAnswer, formatFailure } from './protocol.ts'
import { TunnelServer } from './serve.ts'

const PREDECESSOR_ENDS_WITHIN_MS = 10_000
const POLL_MS = 250

crashWithoutSecrets()
const { values } = parseArgs({
  options: {
    socket: { type: 'string' },
    state: { type: 'string' },
    log: { type: 'string', default: 'info' },
    'log-format': { type: 'string', default: 'auto' },
    keep: { type: 'boolean', default: false },
  },
})
const ended = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => ended.abort())
// The parent writes nothing: that there is an end to read is that it has gone.
process.stdin
  .resume()
  .on('end', () => ended.abort())
  .on('error', () => ended.abort())
process.stdout.on('error', () => {})
process.stderr.on('error', () => {})

const logger = createLogger(values.log as LogLevel, process.stderr, values['log-format'] as LogFormat)
try {
  requireNetAdmin()
  const host = new SystemHost({ clock: systemClock, onProblem: (message) => logger.warn({}, message) })
  const { socket: socketPath = '', state = '', keep } = values
  // That of an earlier run, which ends when it has taken its tunnels down.
  const endsBy = systemClock.monotonic() + PREDECESSOR_ENDS_WITHIN_MS
  while (systemClock.monotonic() < endsBy && (await isListening(socketPath, systemClock, ended.signal)))
    await systemClock.sleep(POLL_MS, ended.signal)
  await using _server = await TunnelServer.start(
    { socketPath, state, keep, host, clock: systemClock, logger },
    ended.signal,
  )
  process.stdout.write(formatAnswer(undefined))
  await new Promise((resolve) => onAbort(ended.signal, resolve))
} catch (error) {
  process.stdout.write(formatFailure(error))
  process.exitCode = 1
} finally {
  // Nothing is left to wait for; the open input would keep the process.
  process.stdin.destroy()
}

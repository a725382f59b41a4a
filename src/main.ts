#!/usr/bin/env node
/** The process's edge: arguments, signals and the exit code. */
import { runCli } from './cli/cli.ts'
import { systemClock } from './lib/clock.ts'
import { createService } from './service.ts'
import { TorNetwork } from './testnet/network.ts'

const interrupt = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    // The second one does not wait: workers die with their control connections, the private network with its pipe.
    if (interrupt.signal.aborted) process.exit(130)
    interrupt.abort(new Error(`Interrupted by ${name}`))
  })
}

// The event loop empties by itself when everything has been disposed.
process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  out: process.stdout,
  err: process.stderr,
  clock: systemClock,
  signal: interrupt.signal,
  createService: (config, signal) => createService(config, {}, signal),
  createTestNetwork: (options, signal) => TorNetwork.create(options, signal),
})

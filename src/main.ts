#!/usr/bin/env -S node --max-semi-space-size=8
/**
 * The process's edge: arguments, signals and the exit code. The flag above (and in package.json) bounds what V8 lets pile up
 * before it collects: without it the service takes some 75 MiB more under load, for no speed. The service and the private network are
 * loaded by the commands that need them.
 */
import { isatty } from 'node:tty'
import { runCli } from './cli/cli.ts'
import { confirm } from './cli/confirm.ts'
import type { ServiceManager } from './cli/parts.ts'
import { systemTerminal } from './cli/terminal.ts'
import { systemClock } from './lib/clock.ts'
import { crashWithoutSecrets } from './lib/crash.ts'

crashWithoutSecrets()

const interrupt = new AbortController()
/** A terminal that goes away sends the same signal as somebody who wants the configuration read anew. */
const terminals = [0, 1, 2].filter((descriptor) => isatty(descriptor))
const hasLostTerminal = () => terminals.some((descriptor) => !isatty(descriptor))
/** Of a service that reads its configuration anew. */
let hangup: (() => void) | undefined
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    if (name === 'SIGHUP' && hangup !== undefined && !hasLostTerminal()) return hangup()
    // The second one does not wait: workers die with their control connections, the private network with its pipe.
    if (interrupt.signal.aborted) process.exit(130)
    interrupt.abort(new Error(`Interrupted by ${name}`))
  })
}

// Whoever read the output has gone, as `head` does: there is nobody to tell anything.
process.stdout.on('error', (error) => {
  if ('code' in error && error.code === 'EPIPE') process.exit(141)
  process.stderr.write(`cbtor: Cannot write the output: ${error.message}\n`)
  process.exit(1)
})
// A service goes on without those who read its log, or on a disk that is full; of a command the exit code tells.
process.stderr.on('error', () => {})

const { stdin: input, stderr: output } = process
const { signal } = interrupt

// The event loop empties by itself when everything has been disposed.
process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  out: process.stdout,
  err: process.stderr,
  stdin: input,
  clock: systemClock,
  signal,
  ...(process.env.NOTIFY_SOCKET !== undefined && { manager: await systemd() }),
  createService: async (config, until, reread, storeWait) =>
    (await import('./service.ts')).createService(
      config,
      { ...(reread && { reread }), ...(storeWait && { storeWait }) },
      until,
    ),
  onHangup(listener) {
    hangup = listener
    return {
      [Symbol.dispose]() {
        hangup = undefined
      },
    }
  },
  createTestNetwork: async (options, until) => (await import('./testnet/network.ts')).TorNetwork.create(options, until),
  boxes: {
    whyNot: async (until) => (await import('./testnet/boxes/box-network.ts')).whyNoBoxes(until),
    async runInHost(listen, argv, until) {
      const { runInHost } = await import('./testnet/boxes/host-namespace.ts')
      const command = (at: string) => [process.execPath, ...process.execArgv, import.meta.filename, ...argv(at)]
      return await runInHost({ listen, command, clock: systemClock }, until)
    },
    enter: async (until) => (await import('./testnet/boxes/host-namespace.ts')).enterHost(systemClock, until),
    createNetwork: async (options, until) =>
      (await import('./testnet/boxes/box-network.ts')).BoxNetwork.create(options, until),
  },
  ...(input.isTTY && process.stdout.isTTY && { terminal: systemTerminal(input, process.stdout) }),
  ...(input.isTTY && output.isTTY && { confirm: (question) => confirm(question, { input, output, signal }) }),
})

async function systemd(): Promise<ServiceManager> {
  const { SystemdNotifier } = await import('./systemd/notifier.ts')
  const onLost = (error: unknown) => output.write(`cbtor: ${error instanceof Error ? error.message : error}\n`)
  return new SystemdNotifier({ env: process.env, onLost })
}

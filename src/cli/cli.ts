import { Command, CommanderError } from 'commander'
import { ApiProblem } from '../client/client.ts'
import { ConfigError } from '../config/read-config.ts'
import { SshError } from '../ssh/errors.ts'
import { ChildFailed } from './child-failed.ts'
import { demoCommand } from './commands/demo.ts'
import { doctorCommand } from './commands/doctor.ts'
import { drillCommand } from './commands/drill.ts'
import { jobsCommand } from './commands/jobs.ts'
import { keysCommand } from './commands/keys.ts'
import { testnetCommand } from './commands/testnet.ts'
import { tunnelCommand } from './commands/tunnel.ts'
import { upCommand } from './commands/up.ts'
import { warmupCommand } from './commands/warmup.ts'
import { workerCommand } from './commands/worker.ts'
import type { CliParts, DemoParts } from './parts.ts'
import { WHERE_KEYS_ARE } from './service-client.ts'

/** Exit codes, as documented in the help. */
export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** Runs one command line (without the program's own name) and returns the exit code. Errors go to `parts.err`. */
export async function runCli(argv: readonly string[], parts: DemoParts): Promise<number> {
  const program = new Command('cbtor')
    .description('A self-hosted gateway to Tor: any URL through a load-balanced pool of Tor workers that heals itself.')
    .addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 wrong usage or configuration, 130 interrupted.')
  for (const command of [
    upCommand(parts),
    demoCommand(parts),
    drillCommand(parts),
    doctorCommand(parts),
    testnetCommand(parts),
    warmupCommand(parts),
    keysCommand(parts),
    jobsCommand(parts),
    workerCommand(parts),
    tunnelCommand(parts),
  ]) {
    program.addCommand(command)
  }
  endWithThrow(program, parts)

  try {
    await program.parseAsync(argv, { from: 'user' })
    return EXIT.ok
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    if (error instanceof ChildFailed) return error.exitCode
    if (parts.signal.aborted) return EXIT.interrupted
    parts.err.write(`cbtor: ${error instanceof Error ? error.message : error}${hint(error)}\n`)
    return isUsage(error) ? EXIT.usage : EXIT.failed
  }
}

/** Commands do not hand on such settings to those that were added to them before. */
function endWithThrow(command: Command, parts: CliParts): void {
  command
    .exitOverride()
    .configureOutput({ writeOut: (text) => parts.out.write(text), writeErr: (text) => parts.err.write(text) })
  for (const each of command.commands) endWithThrow(each, parts)
}

function hint(error: unknown): string {
  return error instanceof ApiProblem && error.problem.status === 401 ? `. ${WHERE_KEYS_ARE}` : ''
}

/** Whether another command line or configuration would be right, whatever the state of things. */
function isUsage(error: unknown): boolean {
  return error instanceof ConfigError || (error instanceof SshError && error.fault === 'invalid')
}

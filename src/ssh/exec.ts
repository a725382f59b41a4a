import type { Client, ClientChannel } from 'ssh2'
import { onAbort } from '../lib/abort.ts'
import { signalCommand } from './channels.ts'
import type { SshCommand } from './command.ts'
import type { Reason } from './errors.ts'

export interface CommandResult {
  /** 0 to 255. 127 when the box has no such program, 126 when it may not run it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** What one run of a command comes to. */
export type Outcome = { readonly result: CommandResult } | { readonly failure: Reason }

export interface Execution {
  /** Resolves as soon as the outcome is known. Rejects with the signal's reason when aborted. */
  readonly outcome: Promise<Outcome>
  /** Resolves when nothing of it is left on the connection. Never rejects. */
  readonly isGone: Promise<void>
  /** Ends the command the hard way. It has been asked by SIGTERM when it was aborted, or wrote too much. */
  kill(): void
}

export interface ExecuteOptions {
  readonly stdin: string | Uint8Array
  /** Of stdout and stderr together. A command that writes more is ended. */
  readonly maxOutputBytes: number
}

/** Runs `command` on a channel of its own. When aborted, it sends the command SIGTERM. */
export function execute(
  client: Client,
  command: SshCommand,
  { stdin, maxOutputBytes }: ExecuteOptions,
  signal: AbortSignal,
): Execution {
  const outcome = Promise.withResolvers<Outcome>()
  const gone = Promise.withResolvers<void>()
  const fail = (why: string, cause?: unknown) => outcome.resolve({ failure: { fault: 'ended', why, cause } })

  let kill = () => {}
  const follow = (channel: ClientChannel) => {
    kill = () => signalCommand(client, channel, 'KILL')
    let room = maxOutputBytes
    let code: number | null | undefined
    let killedBy: string | undefined
    const [stdout, stderr] = [channel, channel.stderr].map((stream) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => {
        const isFirstTooMuch = room >= 0 && chunk.length > room
        room -= chunk.length
        if (room >= 0) chunks.push(chunk)
        if (!isFirstTooMuch) return
        fail(`it wrote more than ${maxOutputBytes} bytes`)
        signalCommand(client, channel, 'TERM')
      })
      return chunks
    })
    channel.on('error', () => {})
    channel.on('exit', (exitCode: number | null, exitSignal?: string) => {
      code = exitCode
      killedBy = exitSignal
    })
    const link = onAbort(signal, () => signalCommand(client, channel, 'TERM'))
    const closed = [channel, channel.stderr].map((stream) => new Promise((resolve) => stream.once('close', resolve)))
    void Promise.all(closed).then(() => {
      link[Symbol.dispose]()
      gone.resolve()
      if (killedBy !== undefined) fail(`it was ended by ${killedBy}`)
      else if (typeof code !== 'number')
        fail('its channel was closed without an exit code, so what it did is not known')
      else outcome.resolve({ result: { code, stdout: text(stdout), stderr: text(stderr) } })
    })
    channel.end(stdin)
  }

  const link = onAbort(signal, outcome.reject)
  try {
    client.exec(command, (error, channel) => {
      if (!error) return follow(channel)
      fail(`the box did not run it (${error.message})`, error)
      gone.resolve()
    })
  } catch (error) {
    // ssh2 throws when it knows already that the connection has ended.
    fail('the connection has ended', error)
    gone.resolve()
  }
  return { outcome: outcome.promise.finally(() => link[Symbol.dispose]()), isGone: gone.promise, kill: () => kill() }
}

function text(chunks: readonly Buffer[] = []): string {
  return Buffer.concat(chunks).toString('utf8')
}

import type { Duplex } from 'node:stream'
import type { Clock } from '../lib/clock.ts'
import { Listeners } from '../lib/listeners.ts'
import { type Logger, silentLogger } from '../lib/log.ts'
import { SharedRun } from '../lib/shared-run.ts'
import type { SshCommand } from './command.ts'
import { NotSent, SshConnection } from './connection.ts'
import { checkDestination, type SshDestination, showDestination } from './destination.ts'
import type { Keepalive, SshDial } from './dial.ts'
import { type Reason, SshError, sshError } from './errors.ts'
import type { CommandResult } from './exec.ts'
import { checkFingerprint, checkPrivateKey } from './keys.ts'

export type { CommandResult }

export interface SshTarget extends SshDestination {
  /** The pinned ed25519 host key: `SHA256:…`, as `readHostKey` gives it. */
  readonly hostKey: string
  /** The text of a private key without passphrase, OpenSSH or PEM. */
  readonly privateKey: string
}

export interface SshSessionOptions {
  readonly target: SshTarget
  readonly clock: Clock
  /** For the whole of a connect. 10 s by default. */
  readonly connectWithinMs?: number
  /** By default a connection is known to be dead after 6 s. */
  readonly keepalive?: Keepalive
  /** How long a wrong host key is remembered before the box is asked for it again. 30 s by default. */
  readonly untrustedForMs?: number
  /** Commands that may wait for their turn, not counting the one that runs. 64 by default. */
  readonly maxWaiting?: number
  /** What a command may write to stdout and stderr together. 4 MiB by default. */
  readonly maxOutputBytes?: number
  /** Told of listeners that throw. */
  readonly logger?: Logger
}

export interface RunOptions {
  /** Nothing by default: the command finds its stdin at its end. */
  readonly stdin?: string | Uint8Array
  /** How long the command may take, from its turn. The wait for its turn, and a connect, come on top. */
  readonly limitMs: number
}

export type SshState = 'idle' | 'connecting' | 'connected' | 'untrusted'

/**
 * SSH to one box: one connection, made when there is first something to do, kept, and made again by the next call after it ended.
 * It makes no attempt unasked, so how often a box that is down is tried is the caller's choice.
 *
 * A box that shows another host key than the pinned one is `untrusted`: it gets neither our key nor a command, and calls reject at
 * once until `untrustedForMs` have passed; then the next call looks at its key again.
 */
export class SshSession implements AsyncDisposable {
  readonly #options: SshSessionOptions
  readonly #destination: SshDestination
  readonly #box: string
  readonly #maxWaiting: number
  readonly #endings: Listeners<SshError>
  readonly #connects = new SharedRun<SshConnection>((signal) => this.#connect(signal))
  #connection: SshConnection | undefined
  #untrusted: { readonly error: SshError; readonly until: number } | undefined
  #isDisposed = false
  /** Calls that are under way. */
  #calls = 0

  /** Connects to nothing yet. Throws `SshError` `invalid` for a target that cannot be one, such as an encrypted key. */
  constructor(options: SshSessionOptions) {
    const { target, logger = silentLogger } = options
    this.#options = options
    this.#destination = checkDestination(target)
    this.#box = showDestination(this.#destination)
    checkFingerprint(target.hostKey)
    checkPrivateKey(target.privateKey)
    this.#maxWaiting = options.maxWaiting ?? 64
    this.#endings = new Listeners((err) => logger.error({ err, box: this.#box }, 'A listener of an SSH session failed'))
  }

  get state(): SshState {
    if (this.#connection?.isOpen) return 'connected'
    if (this.#connects.isRunning) return 'connecting'
    return this.#untrusted ? 'untrusted' : 'idle'
  }

  /**
   * Runs `command` with the box's shell once those before it have ended, and resolves with what it wrote and its exit code,
   * whatever that is. Rejects with `SshError`, or with the signal's reason; either may leave the command half done, unless the
   * fault is `unreachable`, `untrusted`, `key-refused` or `invalid`: then nothing was sent. A command that is aborted, or
   * takes longer than `limitMs`, is told to end by SIGTERM; its own children may live on.
   */
  async run(command: SshCommand, { stdin = '', limitMs }: RunOptions, signal: AbortSignal): Promise<CommandResult> {
    const maxOutputBytes = this.#options.maxOutputBytes ?? 4 * 1024 * 1024
    if (this.#calls > this.#maxWaiting)
      throw sshError(`run a command on ${this.#box}`, {
        fault: 'timed-out',
        why: `${this.#maxWaiting} others wait for their turn already`,
      })
    this.#calls++
    try {
      for (;;) {
        const connection = await this.#connected(signal)
        try {
          return await connection.run(command, { stdin, limitMs, maxOutputBytes }, signal)
        } catch (error) {
          // It was lost before this command's turn came: safe to try on another.
          if (!(error instanceof NotSent)) throw error
        }
      }
    } finally {
      this.#calls--
    }
  }

  /**
   * Opens a stream to `port` of the box's own 127.0.0.1, beside whatever command runs. The caller owns it. It fails with `SshError`
   * when the connection is lost. Rejects with `SshError` (`unreachable` when nothing listens there), or the signal's reason.
   */
  async forward(port: number, signal: AbortSignal): Promise<Duplex> {
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw new SshError(
        'invalid',
        `Cannot reach port ${port} of ${this.#box}: a port is a whole number from 1 to 65535`,
      )
    const connection = await this.#connected(signal)
    return await connection.forward(port, signal)
  }

  /** Calls `listener` with the reason each time an established connection ends, unless by dispose. */
  onEnd(listener: (reason: SshError) => void): Disposable {
    return this.#endings.add(listener)
  }

  /** Ends the connection with all that runs on it. Every later call rejects. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true
    await this.#connects.cancel(this.#disposed())
    await this.#connection?.close(DISPOSED)
  }

  async #connected(signal: AbortSignal): Promise<SshConnection> {
    signal.throwIfAborted()
    if (this.#isDisposed) throw this.#disposed()
    if (this.#connection?.isOpen) return this.#connection
    if (this.#untrusted && this.#options.clock.monotonic() < this.#untrusted.until) throw this.#untrusted.error
    return await this.#connects.join(signal)
  }

  async #connect(signal: AbortSignal): Promise<SshConnection> {
    const { target, clock, connectWithinMs, keepalive, untrustedForMs = 30_000 } = this.#options
    const dial: SshDial = {
      destination: this.#destination,
      privateKey: target.privateKey,
      isTrusted: (fingerprint) => fingerprint === target.hostKey,
      withinMs: connectWithinMs ?? 10_000,
      keepalive: keepalive ?? { intervalMs: 2_000, count: 2 },
      clock,
    }
    try {
      this.#connection = await SshConnection.open(dial, (reason) => this.#ended(reason), signal)
      this.#untrusted = undefined
      return this.#connection
    } catch (error) {
      // Any other failure says nothing about the key, so it does not take back what is known of it.
      if (error instanceof SshError && error.fault === 'untrusted')
        this.#untrusted = { error, until: clock.monotonic() + untrustedForMs }
      throw error
    }
  }

  #ended(reason: Reason): void {
    if (!this.#isDisposed) this.#endings.notify(sshError(`keep the connection to ${this.#box}`, reason))
  }

  #disposed(): SshError {
    return sshError(`use the SSH session with ${this.#box}`, DISPOSED)
  }
}

const DISPOSED: Reason = { fault: 'ended', why: 'it was closed by us' }

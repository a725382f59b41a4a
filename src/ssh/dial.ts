import { connect, type Socket } from 'node:net'
import ssh2 from 'ssh2'
import { deadline, onAbort } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { reasonOfFailedConnect } from './connect-faults.ts'
import { type SshDestination, showDestination } from './destination.ts'
import { type Reason, sshError } from './errors.ts'
import { fingerprint, KEY_TYPE } from './keys.ts'

export interface SshDial {
  readonly destination: SshDestination
  /** None for a mere look at the host key. */
  readonly privateKey?: string
  /** Says whether the host key is the right one. Nothing is sent to a box, not even our name, before it is. */
  readonly isTrusted: (fingerprint: string) => boolean
  /** For all of it: name, TCP, key exchange and authentication. */
  readonly withinMs: number
  readonly keepalive: Keepalive
  readonly clock: Clock
}

/** After `count` keepalives without an answer a connection is given up: dead for `intervalMs * (count + 1)`. Real time: ssh2's. */
export interface Keepalive {
  readonly intervalMs: number
  readonly count: number
}

/** How far a connection came before it failed, for the reason. */
export interface DialProgress {
  isTcpUp: boolean
  isAuthenticating: boolean
  /** The host key that was refused. */
  refusedHostKey: string | undefined
}

export interface Dialled {
  readonly client: ssh2.Client
  readonly socket: Socket
}

/**
 * Connects to the SSH of a box and authenticates, by key alone. Rejects with `SshError`, or with the signal's reason, leaving no
 * socket behind. This is the one place that dials a box, and boxes are all it dials: what it connects to is no target.
 */
export async function dialSsh(dial: SshDial, signal: AbortSignal): Promise<Dialled> {
  signal.throwIfAborted()
  const { destination, privateKey, isTrusted, withinMs, keepalive, clock } = dial
  const attempt = `connect to ${showDestination(destination)}`
  const progress: DialProgress = { isTcpUp: false, isAuthenticating: false, refusedHostKey: undefined }
  const ready = Promise.withResolvers<void>()
  // Nobody waits for it yet, or any more, when ssh2 throws.
  ready.promise.catch(() => {})
  const fail = (error: Error | undefined) =>
    ready.reject(sshError(attempt, reasonOfFailedConnect(error, destination, progress)))

  // Without noDelay each small packet would wait for the acknowledgement of the one before: 50 ms a command instead of 3.
  const socket = connect({ host: destination.host, port: destination.port, noDelay: true })
  const client = new ssh2.Client()
  client.on('connect', () => {
    progress.isTcpUp = true
  })
  client.on('handshake', () => {
    progress.isAuthenticating = true
  })
  client.on('ready', () => ready.resolve())
  // Stays on for good, so that an error that nobody listens for does not end the process.
  client.on('error', fail)
  client.on('close', () => fail(undefined))
  using limit = deadline(clock, withinMs, signal, () => sshError(attempt, reasonOfLateConnect(withinMs, progress)))
  using _ = onAbort(limit.signal, ready.reject)
  try {
    client.connect({
      sock: socket,
      username: destination.user,
      ...(privateKey === undefined ? {} : { privateKey }),
      // Not even "none" is tried: a box without a password would let anybody in by it, and us without our key.
      authHandler: ['publickey'],
      algorithms: { serverHostKey: [KEY_TYPE] },
      hostVerifier: (key: Buffer) => {
        const shown = fingerprint(key)
        const isRight = isTrusted(shown)
        if (!isRight) progress.refusedHostKey = shown
        return isRight
      },
      keepaliveInterval: keepalive.intervalMs,
      keepaliveCountMax: keepalive.count,
      readyTimeout: 0,
    })
    await ready.promise
    return { client, socket }
  } catch (error) {
    socket.destroy()
    throw error
  }
}

function reasonOfLateConnect(withinMs: number, { isTcpUp, isAuthenticating }: DialProgress): Reason {
  const why = isAuthenticating
    ? `it did not answer our key within ${withinMs} ms`
    : isTcpUp
      ? `something takes connections there, but did not finish the SSH handshake within ${withinMs} ms: the box hangs or is overloaded, or it is no SSH server`
      : `nothing answered within ${withinMs} ms: the box is off, its link is down, or a firewall drops the packets`
  return { fault: 'timed-out', why }
}

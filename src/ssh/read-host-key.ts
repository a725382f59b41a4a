import type { Clock } from '../lib/clock.ts'
import { checkDestination } from './destination.ts'
import { dialSsh } from './dial.ts'
import { SshError } from './errors.ts'
import { KEY_TYPE } from './keys.ts'

export interface HostKey {
  readonly type: string
  /** `SHA256:…`, as ssh-keygen -l and dropbearkey -y show it. */
  readonly fingerprint: string
}

export interface ReadHostKeyOptions {
  readonly clock: Clock
  /** 10 s by default. */
  readonly withinMs?: number
}

/**
 * Asks who answers at `host`, before anything is known of it, and hangs up: no user, key or command is sent. What it gives is to
 * be shown to the operator, and pinned. Rejects with `SshError`, or with the signal's reason.
 */
export async function readHostKey(
  host: string,
  port: number,
  { clock, withinMs = 10_000 }: ReadHostKeyOptions,
  signal: AbortSignal,
): Promise<HostKey> {
  const destination = checkDestination({ user: 'root', host, port })
  let shown: string | undefined
  const isTrusted = (fingerprint: string) => {
    shown = fingerprint
    return false
  }
  const keepalive = { intervalMs: 0, count: 0 }
  try {
    const { socket } = await dialSsh({ destination, isTrusted, withinMs, keepalive, clock }, signal)
    socket.destroy()
  } catch (error) {
    const isRefusedByUs = error instanceof SshError && error.fault === 'untrusted' && shown !== undefined
    if (!isRefusedByUs) throw error
  }
  if (shown === undefined) throw new SshError('untrusted', `Cannot read the host key of ${host}: it showed none`)
  return { type: KEY_TYPE, fingerprint: shown }
}

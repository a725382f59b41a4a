import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** It waits until systemd has read the message, as systemd has to see who it comes from. */
const WITHIN_MS = 5_000

/**
 * Sends by systemd's own program, which is wherever systemd is: Node has no datagrams on unix sockets. As the message comes from a child
 * of ours, the unit says `NotifyAccess=all`. Rejects with a sentence.
 */
export function systemdNotify(env: Readonly<Record<string, string | undefined>>) {
  return async (assignments: readonly string[]): Promise<void> => {
    const { PATH, NOTIFY_SOCKET } = env
    try {
      await promisify(execFile)('systemd-notify', [...assignments], {
        timeout: WITHIN_MS,
        killSignal: 'SIGKILL',
        env: { PATH, NOTIFY_SOCKET },
      })
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      const why = code === 'ENOENT' ? 'there is no program "systemd-notify"' : message.trim().split('\n').join(' ')
      throw new Error(`Cannot tell systemd how the service is: ${why}`, { cause: error })
    }
  }
}

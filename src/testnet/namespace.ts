import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** New user, network and pid namespaces in which we are root, and whose processes end with us. */
const UNSHARE = ['unshare', '--map-root-user', '--net', '--pid', '--fork', '--kill-child', '--']

/** `command` in namespaces of its own. */
export function inNewNamespaces(command: readonly string[]): string[] {
  return [...UNSHARE, ...command]
}

/**
 * `command` in the user and network namespaces of process `pid`, but seen and ended like any other process of ours. What
 * it serves on unix sockets is reached from outside, since those do not belong to a network namespace.
 */
export function inNetworkOf(pid: number, command: readonly string[]): string[] {
  return ['nsenter', '--target', `${pid}`, '--user', '--net', '--preserve-credentials', '--', ...command]
}

/** Undefined when this user may make the namespaces that we need, else why not. */
export async function whyNoNamespaces(signal?: AbortSignal): Promise<string | undefined> {
  const [program = '', ...args] = inNewNamespaces(['ip', 'link', 'set', 'lo', 'up'])
  try {
    await promisify(execFile)(program, args, { timeout: 10_000, ...(signal && { signal }) })
    return undefined
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    return (error instanceof Error ? error.message : String(error)).trim()
  }
}

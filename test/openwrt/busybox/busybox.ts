import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const BUILD_WITHIN_MS = 300_000

/** The path of a busybox as OpenWrt configures it; the first call on a machine builds it. Rejects with what failed. */
export async function openwrtBusybox(): Promise<string> {
  const script = fileURLToPath(new URL('build', import.meta.url))
  const { stdout } = await promisify(execFile)(script, [], { timeout: BUILD_WITHIN_MS })
  return stdout.trim()
}

import { spawn } from 'node:child_process'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { basename } from 'node:path'
import { abortable } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { environment } from './environment.ts'
import { TunnelError } from './errors.ts'

export interface UserSpaceOptions {
  readonly clock: Clock
  readonly prefix?: readonly string[]
  readonly isAnswering: () => Promise<boolean>
}

const PROGRAM = 'wireguard-go'
const POLL_MS = 20
const START_WITHIN_MS = 5_000
/** After the interface has gone, which is what makes it end. */
const END_WITHIN_MS = 2_000

/**
 * WireGuard in user space, for a kernel that has none. The process does not hang on us: as an interface of the kernel's
 * would, it goes on when this program is killed, and the next one finds it.
 */
export async function startUserSpace(name: string, options: UserSpaceOptions, signal: AbortSignal): Promise<void> {
  const { clock, prefix = [], isAnswering } = options
  const [program = '', ...args] = [...prefix, PROGRAM, '-f', name]
  // Its output is nobody's: at the first word into a pipe whose reader has gone, it would end.
  const child = spawn(program, args, {
    detached: true,
    stdio: 'ignore',
    env: { ...environment(), LOG_LEVEL: 'silent' },
  })
  const end = new Promise<string>((resolve) => {
    child.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ENOENT' ? 'ENOENT' : error.message))
    child.on('exit', (code, by) => resolve(code === 127 ? 'ENOENT' : `it ended at once (${by ?? `exit code ${code}`})`))
  })
  let failure: string | undefined
  void end.then((why) => {
    failure = why
  })
  const giveUpAt = clock.monotonic() + START_WITHIN_MS
  try {
    while (failure === undefined && !(await isAnswering())) {
      if (clock.monotonic() > giveUpAt) failure = `it did not answer within ${START_WITHIN_MS} ms`
      else await Promise.race([clock.sleep(POLL_MS, signal), abortable(end, signal)])
    }
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
  child.unref()
  if (failure === undefined) return
  child.kill('SIGKILL')
  throw notStarted(name, failure)
}

/** Ends the process behind an interface: it does so by itself when the interface goes, and by force when it hangs. */
export async function endUserSpace(name: string, clock: Clock): Promise<void> {
  const pids = await userSpacePids(name)
  const killAt = clock.monotonic() + END_WITHIN_MS
  for (const pid of pids) {
    for (let isForced = false; (await nameOf(pid)) === name; await clock.sleep(POLL_MS)) {
      if (isForced || clock.monotonic() < killAt) continue
      kill(pid)
      isForced = true
    }
  }
}

/** Of this network namespace: in another one an interface of the same name is another interface. */
async function userSpacePids(name: string): Promise<readonly number[]> {
  const ours = await readlink('/proc/self/ns/net')
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry)).map(Number)
  const found = await Promise.all(
    pids.map(async (pid) => {
      const isIt = (await nameOf(pid)) === name
      return isIt && (await readlink(`/proc/${pid}/ns/net`).catch(() => '')) === ours ? [pid] : []
    }),
  )
  return found.flat()
}

/** The interface of a `wireguard-go`; undefined for other processes and for zombies, which have no command line. */
async function nameOf(pid: number): Promise<string | undefined> {
  const [program = '', ...args] = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0')
  return basename(program) === PROGRAM ? args.filter((arg) => arg !== '' && !arg.startsWith('-')).at(-1) : undefined
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function notStarted(name: string, why: string): TunnelError {
  if (why === 'ENOENT') {
    return new TunnelError(
      'not-installed',
      `Cannot make ${name}: this kernel has no WireGuard, and there is no program "${PROGRAM}". Load the kernel's module (modprobe wireguard) or install the package "${PROGRAM}"`,
    )
  }
  return new TunnelError(
    'failed',
    `Cannot make ${name}: this kernel has no WireGuard, and ${PROGRAM} cannot be used: ${why}. Is there a /dev/net/tun? Try: ${PROGRAM} -f ${name}`,
  )
}

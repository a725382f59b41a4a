import { readFile, rm, writeFile } from 'node:fs/promises'
import type { Clock } from '../../lib/clock.ts'
import type { TorDirectory } from '../tor-directory.ts'
import { TorProcessError } from './errors.ts'

const POLL_MS = 20

/** Writes down who runs in the directory, for the next one who wants to: the tor process and the process that started it. */
export async function claim(directory: TorDirectory, pid: number): Promise<void> {
  await writeFile(directory.pidFile, `${pid} ${process.pid}\n`, { mode: 0o600 })
}

export async function unclaim(directory: TorDirectory): Promise<void> {
  await rm(directory.pidFile, { force: true })
}

/**
 * Ends a tor that was left in the directory by a program that was killed: two of them would fight for the data. What it
 * was, and that it is no stranger with the same number, is read from `/proc`; where there is none, tor's own lock has to do.
 * Returns its process id, or undefined when there was none. Rejects with a `TorProcessError` when the program that
 * started it is still there, and with the signal's reason.
 */
export async function endPredecessor(
  directory: TorDirectory,
  clock: Clock,
  graceMs: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const [pid, owner] = (await readOr(directory.pidFile, '')).split(/\s+/).map(Number)
  if (!pid || !owner || !(await runsIn(directory, pid))) return undefined
  // An orphan has a new parent; so as long as the parent is the one that started it, that one is alive.
  if ((await parentOf(pid)) === owner)
    throw new TorProcessError(
      'directory',
      `Cannot start tor in ${directory.path}: process ${owner} runs tor (process ${pid}) there`,
    )
  const killAt = clock.monotonic() + graceMs
  kill(pid, 'SIGTERM')
  for (let isForced = false; await runsIn(directory, pid); await clock.sleep(POLL_MS, signal)) {
    if (isForced || clock.monotonic() < killAt) continue
    kill(pid, 'SIGKILL')
    isForced = true
  }
  return pid
}

/** Whether the process is there, is no zombie, and was started with our torrc. */
async function runsIn(directory: TorDirectory, pid: number): Promise<boolean> {
  return (await readOr(`/proc/${pid}/cmdline`, '')).split('\0').includes(directory.torrc)
}

/** The fourth field of proc(5)'s `stat`; the second is a name that may hold anything. */
async function parentOf(pid: number): Promise<number | undefined> {
  const stat = await readOr(`/proc/${pid}/stat`, '')
  const [, parent] = /^ \S (\d+) /.exec(stat.slice(stat.lastIndexOf(')') + 1)) ?? []
  return parent === undefined ? undefined : Number(parent)
}

async function readOr(path: string, fallback: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => fallback)
}

/** A process that has just gone is as good as one that was ended. */
function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

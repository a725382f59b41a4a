import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type OpenSocket, parseSocketTable } from './sockets.ts'

export interface ServiceProcess {
  readonly pid: number
  /** The user whom it runs as. */
  readonly uid: number
  /** Its control groups, as `/proc/PID/cgroup` has them. */
  readonly cgroup: string
  /** What it listens on. */
  readonly sockets: readonly OpenSocket[]
}

/**
 * The process that listens on a TCP port of this machine, with all that it listens on, by proc(5). Undefined when there is none
 * and when it is of another user and this process not root's.
 */
export async function processAt(port: number, proc = '/proc'): Promise<ServiceProcess | undefined> {
  const inodes = (await socketsIn(join(proc, 'self')))
    .filter((socket) => socket.protocol === 'tcp' && socket.port === port)
    .map(({ inode }) => inode)
  if (inodes.length === 0) return undefined
  const pids = (await readdir(proc)).filter((name) => /^\d+$/.test(name))
  for (const pid of pids) {
    const held = await inodesOf(join(proc, pid))
    if (!inodes.some((inode) => held.has(inode))) continue
    const sockets = (await socketsIn(join(proc, pid))).filter(({ inode }) => held.has(inode))
    return {
      pid: Number(pid),
      uid: (await stat(join(proc, pid))).uid,
      cgroup: await cgroupOf(join(proc, pid)),
      sockets,
    }
  }
  return undefined
}

/** By which a firewall may tell a process from others. */
export async function cgroupOf(process = '/proc/self'): Promise<string> {
  return await readFile(join(process, 'cgroup'), 'utf8').catch(() => '')
}

/** Of the network namespace that the process is in. */
async function socketsIn(process: string): Promise<readonly OpenSocket[]> {
  const read = async (protocol: OpenSocket['protocol'], name: string) =>
    parseSocketTable(protocol, await readFile(join(process, 'net', name), 'utf8').catch(() => ''))
  const tables = [read('tcp', 'tcp'), read('tcp', 'tcp6'), read('udp', 'udp'), read('udp', 'udp6')]
  return (await Promise.all(tables)).flat()
}

async function inodesOf(process: string): Promise<ReadonlySet<number>> {
  const names = await readdir(join(process, 'fd')).catch(() => [])
  const links = await Promise.all(names.map((name) => readlink(join(process, 'fd', name)).catch(() => '')))
  return new Set(links.flatMap((link) => Number(/^socket:\[(\d+)\]$/.exec(link)?.[1] ?? Number.NaN) || []))
}

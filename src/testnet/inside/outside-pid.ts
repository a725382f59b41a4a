import { readFileSync, readlinkSync } from 'node:fs'

/**
 * The pid by which the outside of our pid namespace knows our child `pid`. The /proc that we see is the outside's; the
 * NSpid line of a process's status lists its pids from there to the innermost namespace. Undefined when it is gone.
 */
export function outsidePid(pid: number): number | undefined {
  const self = readlinkSync('/proc/self')
  for (const child of readFileSync(`/proc/${self}/task/${self}/children`, 'utf8').trim().split(' ')) {
    const innermost = /^NSpid:.*\t(\d+)$/m.exec(readStatus(child))?.[1]
    if (innermost === `${pid}`) return Number(child)
  }
  return undefined
}

function readStatus(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return '' // it has just ended
  }
}

import { readFileSync } from 'node:fs'

/** The process that `pid` has started and that runs still: `unshare --fork` has one. Undefined when it is gone. */
export function onlyChild(pid: number | undefined): number | undefined {
  try {
    const [child = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
    return child === '' ? undefined : Number(child)
  } catch {
    return undefined // it has just ended
  }
}

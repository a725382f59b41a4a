import { execFileSync } from 'node:child_process'
import { cpus, release, totalmem } from 'node:os'
import { ROOT } from '../stage/root.ts'

export function machineText(): string {
  const [first] = cpus()
  return `${cpus().length} × ${first?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`
}

/** With `+` where files differ from it; `unknown` outside a checkout. */
export function commitText(): string {
  try {
    const git = (...args: string[]) =>
      execFileSync('git', ['-C', ROOT, ...args], { encoding: 'utf8', stdio: 'pipe' }).trim()
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', 'src', 'bench') === '' ? '' : '+')
  } catch {
    return 'unknown'
  }
}

export function torVersion(): string {
  return /\d+(\.\d+)+/.exec(execFileSync('tor', ['--version'], { encoding: 'utf8' }))?.[0] ?? 'unknown'
}

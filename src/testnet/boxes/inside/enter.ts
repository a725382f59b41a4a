import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Clock } from '../../../lib/clock.ts'
import type { ExecResult } from '../protocol.ts'

/** A box's root is root, but its clock, kernel modules and hardware are those of the machine around. */
export const CONFINED = ['setpriv', '--bounding-set=-sys_time,-sys_module,-sys_rawio,-syslog,-wake_alarm', '--']

/** What OpenWrt gives its services and SSH sessions. */
const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root' }

export interface Script {
  readonly text: string
  readonly stdin: string
  /** It is ended by force after that. */
  readonly limitMs: number
}

/**
 * Runs a script by the box's own shell, as a process of the box, which `init` is process 1 of. Resolves when it and all that
 * it left in the background with its output open have ended.
 */
export async function enter(init: number, script: Script, clock: Clock): Promise<ExecResult> {
  const namespaces = ['--mount', '--uts', '--ipc', '--net', '--pid', '--root', '--wd']
  const command = [...CONFINED, 'nsenter', `--target=${init}`, ...namespaces, '--', '/bin/sh', '-c', script.text]
  const [program = '', ...args] = command
  // A group of its own: to end it by force means to end what it has started, too.
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: ENVIRONMENT, detached: true })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text
    })
  }
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  child.on('error', reject)
  child.on('close', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)))
  // A script that ends without reading its input is judged by its exit code.
  child.stdin.on('error', () => {})
  child.stdin.end(script.stdin)
  let isLate = false
  using _ = clock.timer(script.limitMs, () => {
    isLate = true
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  })
  const code = await promise
  if (isLate)
    throw new Error(`it took longer than ${script.limitMs} ms. It had printed:\n${output.stdout}${output.stderr}`)
  return { code, ...output }
}

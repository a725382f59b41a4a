/** This machine once more, in which anything may be installed: what is written goes to memory, and is gone with the process. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/**
 * $1: a directory for the mounts, $2: a file that is to be there as /package.deb, what follows: directories that are to be empty. A root of its own
 * and no chroot, in which no user namespace could be made. Lives until its standard input ends.
 */
const ROOT = `
set -eu
base=$1 file=$2
shift 2
mount --make-rprivate /
mount -t tmpfs -o size=2g none "$base"
mkdir "$base/upper" "$base/work" "$base/root"
mount -t overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" none "$base/root"
cd "$base/root"
cp "$file" package.deb
mount -t proc none proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs none run
# What was in a directory that is hidden is hidden with it.
for hidden in tmp "$@"; do [ ! -d "./$hidden" ] || mount -t tmpfs none "./$hidden"; done
chmod 1777 tmp
pivot_root . mnt
cd /
umount -l /mnt
echo ready
exec cat
`

/** As on a machine that was just started: nothing of ours. */
const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/nonexistent',
  LANG: 'C.UTF-8',
}

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

export class ThrowAwayRoot implements AsyncDisposable {
  readonly #child: ReturnType<typeof spawnRoot>
  readonly #directory: string

  private constructor(child: ReturnType<typeof spawnRoot>, directory: string) {
    this.#child = child
    this.#directory = directory
  }

  /** `file` is to be there as /package.deb; the directories in `hidden` are empty. */
  static async create(file: string, hidden: readonly string[]): Promise<ThrowAwayRoot> {
    const directory = await mkdtemp(join(tmpdir(), 'cbtor-root-'))
    const child = spawnRoot([directory, file, ...hidden])
    let errors = ''
    child.stderr.on('data', (text) => {
      errors += text
    })
    const root = new ThrowAwayRoot(child, directory)
    const first = await Promise.race([once(child.stdout, 'data'), once(child, 'close')])
    if (String(first[0]) === 'ready\n') return root
    await root[Symbol.asyncDispose]()
    throw new Error(`Cannot make a root: ${errors}`)
  }

  /** Runs a script of sh, and resolves also when it fails. */
  async run(script: string): Promise<Ran> {
    const enter = ['--target', `${this.#child.pid}`, '--mount', '--wd', '--', 'sh', '-c', script]
    try {
      const { stdout, stderr } = await promisify(execFile)('nsenter', enter, { env: ENVIRONMENT, timeout: 120_000 })
      return { code: 0, out: stdout, err: stderr }
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
      return { code, out: stdout, err: stderr }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end()
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'close')
    await rm(this.#directory, { recursive: true, force: true })
  }
}

function spawnRoot(args: readonly string[]) {
  return spawn('unshare', ['--mount', 'sh', '-c', ROOT, 'sh', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: ENVIRONMENT,
  })
}

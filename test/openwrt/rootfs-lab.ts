/** One test box by itself, without a Tor network and without a rack: a wire, a feed of packages, a power loop. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { BOOT_SCRIPT } from '../../src/testnet/boxes/inside/boot-script.ts'
import { FEED_PORT, ROUTER_ADDRESS } from '../../src/testnet/boxes/plan.ts'
import type { BoxFile } from '../../src/testnet/boxes/rootfs.ts'

export const BOX_ADDRESS = '192.0.2.11'
const BOOTED_WITHIN_MS = 20_000
const EXEC_WITHIN_MS = 30_000

/**
 * $1 directory, $2 lowerdir, $3 feed, $4 the rack's script that boots a box. Lives until its standard input ends, and everything with
 * it, as it is process 1. The directory gets: `init`, the pid of the box's init; `ends`, a line for each end of an init.
 */
const LAB = `
set -eu
cd "$1"
mkdir flash root
mount -t tmpfs -o mode=755,size=64m flash flash
mkdir flash/upper flash/work
cp -a files/. flash/upper/
cat /proc/sys/kernel/random/uuid >boot_id
ip link set lo up
ip address add ${ROUTER_ADDRESS}/32 dev lo
busybox httpd -p ${ROUTER_ADDRESS}:${FEED_PORT} -h "$3"
unshare --net sleep 1000000 <&- &
box=$!
until [ "$(readlink /proc/$box/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.05; done
ip link add box type veth peer name wan netns $box
ip link set box up
ip route add ${BOX_ADDRESS}/32 dev box
nsenter --target=$box --net sh -c 'ip address add ${BOX_ADDRESS}/32 dev wan && ip link set wan up &&
  ip route add default via ${ROUTER_ADDRESS} dev wan onlink'
{
  how=0
  while [ "$how" = 0 ]; do
    nsenter --target=$box --net unshare --mount --pid --uts --ipc --fork --kill-child sh -c "$4" box \
      "$PWD/root" "$2" "$PWD/flash" "$PWD/boot_id" 32m handed-over &
    until init=$(cat /proc/$!/task/$!/children) && [ -n "$init" ]; do sleep 0.05; done
    echo $init >init
    how=0
    wait $! || how=$?
    echo $how >>ends
  done
} </dev/null >console 2>&1 &
cat >/dev/null
`

export interface Said {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export class BoxLab implements AsyncDisposable {
  readonly #directory: string
  readonly #child: ChildProcess

  private constructor(directory: string, child: ChildProcess) {
    this.#directory = directory
    this.#child = child
  }

  /** Resolves when the box has booted. `directory` must not be there yet; the caller removes it. */
  static async start(options: {
    readonly directory: string
    readonly lower: string
    readonly feed: string
    readonly files: readonly BoxFile[]
  }): Promise<BoxLab> {
    const { directory, lower, feed, files } = options
    await mkdir(join(directory, 'files'), { recursive: true })
    for (const { path, content, mode } of files) {
      const file = join(directory, 'files', path)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, content)
      await chmod(file, mode)
    }
    const unshare = ['--mount', '--net', '--pid', '--mount-proc', '--fork', '--kill-child', '--']
    const child = spawn('unshare', [...unshare, 'sh', '-c', LAB, 'lab', directory, lower, feed, BOOT_SCRIPT], {
      stdio: ['pipe', 'inherit', 'inherit'],
    })
    const lab = new BoxLab(directory, child)
    try {
      await lab.waitUp()
      return lab
    } catch (error) {
      await lab[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Runs a script by the box's own shell, as its PATH and namespaces are there. */
  async exec(script: string): Promise<Said> {
    const inBox = 'exec nsenter --target="$(cat "$0")" --mount --uts --ipc --net --pid --root --wd -- /bin/sh -c "$1"'
    return await this.inLab(inBox, [join(this.#directory, 'init'), script])
  }

  /** What the script prints; rejects when it fails. */
  async ask(script: string): Promise<string> {
    const { code, stdout, stderr } = await this.exec(script)
    if (code !== 0) throw new Error(`The box's script ended with ${code}: ${script}\n${stdout}${stderr}`)
    return stdout.trim()
  }

  /** Runs a script at the other end of the box's wire. */
  async inLab(script: string, args: readonly string[] = []): Promise<Said> {
    const children = await readFile(`/proc/${this.#child.pid}/task/${this.#child.pid}/children`, 'utf8')
    const nsenter = [`--target=${children.trim()}`, '--mount', '--net', '--pid', '--', 'sh', '-c', script, ...args]
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root' }
    try {
      return { code: 0, ...(await promisify(execFile)('nsenter', nsenter, { env, timeout: EXEC_WITHIN_MS })) }
    } catch (error) {
      const { code, stdout, stderr } = error as { code?: unknown; stdout: string; stderr: string }
      if (typeof code !== 'number') throw error
      return { code, stdout, stderr }
    }
  }

  /** Resolves when all start scripts have run, in a boot other than the one before `reboots` reboots. */
  async waitUp(reboots = 0): Promise<void> {
    await this.eventually(async () => {
      const ends = await readFile(join(this.#directory, 'ends'), 'utf8').catch(() => '')
      if (ends.split('\n').length - 1 < reboots) return false
      return (await this.exec('[ -e /dev/.stand-in/booted ]').catch(() => undefined))?.code === 0
    }, BOOTED_WITHIN_MS)
  }

  /** How each init ended so far: exit codes. */
  async ends(): Promise<string[]> {
    return (await readFile(join(this.#directory, 'ends'), 'utf8')).trim().split('\n')
  }

  /** Looks again and again until `look` gives true; rejects after `limitMs`. */
  async eventually(look: () => Promise<boolean>, limitMs: number): Promise<void> {
    const end = performance.now() + limitMs
    while (!(await look())) {
      if (performance.now() > end) {
        const console = await readFile(join(this.#directory, 'console'), 'utf8').catch(() => '')
        throw new Error(`Nothing came within ${limitMs} ms of: ${look}\nThe box's console:\n${console}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'close')
    this.#child.stdin?.end()
    if (this.#child.exitCode === null && this.#child.signalCode === null) await ended
  }
}

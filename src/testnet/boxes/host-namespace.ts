/**
 * The gateway machine of a rack of boxes is a network namespace, so that nothing of the real machine's network is changed. A
 * program that is started in the real one runs itself once more in a new one (`runInHost`), where it takes over the address
 * that its clients know (`enterHost`).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { BlockList, createServer, isIP, Server } from 'node:net'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { abortable, onAbort } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { Doorway } from './doorway.ts'

export interface HostRequest {
  /** An address of this machine's loopback; port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number }
  /** The command that is run, which calls `enterHost()`. `listen` is what is listened on. */
  command(listen: string): readonly string[]
  readonly clock: Clock
}

/** What the one in the new namespace is told. */
interface Welcome {
  readonly pid: number
}

/** This process's place in a network namespace of its own. Dispose it to let nobody in any longer. */
export interface EnteredHost extends Disposable {
  /** A process of this network namespace, as the starter's namespace knows it: what it is entered by. */
  readonly pid: number
  /** From now on clients reach what listens here. */
  open(host: string, port: number): void
}

/** Processes of their own, too: the end of the first is the end of all. */
const UNSHARE = ['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--']
/**
 * Process 1 of the namespaces; $1 is a directory that goes at the end. Sockets of WireGuard in user space have names that are
 * those of interfaces, of which another namespace may have the same. What hangs on the program's pipes and ends after it is
 * given the time to clean up.
 */
const FIRST_PROCESS = `
directory=$1
shift
mkdir -p /var/run/wireguard && mount -t tmpfs -o mode=700 none /var/run/wireguard || exit
"$@"
code=$?
alone() { set -- /proc/[0-9]*; [ $# = 1 ]; }
turns=0
until alone || [ $turns = 300 ]; do
  sleep 0.1
  turns=$((turns + 1))
done
rm -rf "$directory"
exit $code
`
/** A shell's exit code for a command that SIGKILL ended. */
const KILLED = 137
const WELCOME_WITHIN_MS = 10_000
/** Longer than the rack and the network take at most. */
const END_WITHIN_MS = 60_000

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/**
 * Listens, and runs the command in a network namespace of its own until it ends; resolves with its exit code. Needs root. The
 * command is asked to end by SIGTERM when the signal aborts or when this process ends in whatever way. Rejects when it cannot
 * listen, or when the command was ended by force.
 */
export async function runInHost({ listen, command, clock }: HostRequest, signal: AbortSignal): Promise<number> {
  const server = await listenOn(listen)
  const directory = await mkdtemp(join(tmpdir(), 'cbtor-host-'))
  try {
    const [program = '', ...args] = [...UNSHARE, 'sh', '-c', FIRST_PROCESS, 'sh', directory, ...command(shown(server))]
    // A process group of its own: Ctrl-C in a terminal is for us, who pass it on.
    const child = spawn(program, args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      detached: true,
      env: { ...process.env, TMPDIR: directory },
    })
    return await lead(child, server, clock, signal)
  } finally {
    server.close()
    await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }
}

/** Takes the address over from `runInHost()` of the process that has started us. Rejects with the signal's reason. */
export async function enterHost(clock: Clock, signal: AbortSignal): Promise<EnteredHost> {
  const told = Promise.withResolvers<EnteredHost>()
  const alone = () => new Error('Cannot enter the namespace: nobody made one for us. Start "cbtor demo --openwrt"')
  if (!process.connected) throw alone()
  const take = ({ pid }: Welcome, server: unknown) => {
    if (server instanceof Server) told.resolve(enteredBy(pid, new Doorway(server)))
  }
  process.on('message', take)
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  using _ = clock.timer(WELCOME_WITHIN_MS, () => told.reject(alone()))
  try {
    return await abortable(told.promise, signal)
  } finally {
    process.off('message', take)
    // From now on it is no reason to go on when everything else has ended.
    process.channel?.unref()
  }
}

function enteredBy(pid: number, door: Doorway): EnteredHost {
  return { pid, open: (host, port) => door.open(host, port), [Symbol.dispose]: () => door[Symbol.dispose]() }
}

/** Until its end. */
async function lead(child: ChildProcess, server: Server, clock: Clock, signal: AbortSignal): Promise<number> {
  const ended = new Promise<{ code: number | null; by: NodeJS.Signals | null }>((resolve, reject) => {
    child.on('error', (error) => reject(new Error(`Cannot run unshare: ${error.message}`, { cause: error })))
    child.on('exit', (code, by) => resolve({ code, by }))
  })
  // One that has ended already cannot be told; that is seen by its end.
  const welcome: Welcome = { pid: child.pid ?? 0 }
  child.send(welcome, server, () => server.close())
  let force: Disposable | undefined
  using _ = onAbort(signal, () => {
    if (child.connected) child.disconnect()
    force = clock.timer(END_WITHIN_MS, () => child.kill('SIGKILL'))
  })
  try {
    const { code, by } = await ended
    if (by === 'SIGKILL' || code === KILLED) throw new Error('The process that held the boxes was ended by force')
    return code ?? 128 + (by === null ? 0 : constants.signals[by])
  } finally {
    force?.[Symbol.dispose]()
  }
}

async function listenOn({ host, port }: HostRequest['listen']): Promise<Server> {
  const address = host.toLowerCase() === 'localhost' ? '127.0.0.1' : host
  const family = isIP(address)
  if (family === 0 || !LOOPBACK.check(address, family === 6 ? 'ipv6' : 'ipv4'))
    throw new Error(`Cannot listen on "${host}": the API answers on loopback only (127.0.0.1, ::1 or localhost)`)
  // It has others to serve it.
  const server = createServer((client) => client.destroy())
  try {
    server.listen({ host: address, port })
    await once(server, 'listening')
    return server
  } catch (cause) {
    throw new Error(`Cannot listen on ${host}:${port}: ${(cause as NodeJS.ErrnoException).code ?? cause}`, { cause })
  }
}

function shown(server: Server): string {
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('Cannot listen: there is no address')
  return bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`
}

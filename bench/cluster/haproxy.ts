import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ROOT } from '../stage/root.ts'

export const HAPROXY_CONFIG = join(ROOT, 'deploy', 'haproxy.cfg')

/** On 127.0.0.1, of each replica. */
export interface ReplicaPorts {
  readonly api: number
  readonly http: number
  readonly socks: number
}

export interface Haproxy extends AsyncDisposable {
  readonly ports: ReplicaPorts
  readonly child: ChildProcess
}

/** The deployed configuration as it stands, before three replicas on this machine that speak plain HTTP. */
export async function startHaproxy(replicas: readonly ReplicaPorts[], ports: ReplicaPorts): Promise<Haproxy> {
  const env = { ...process.env, ...haproxyVariables(ports, replicas) }
  const child = spawn('haproxy', ['-db', '-q', '-f', HAPROXY_CONFIG], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  try {
    await accepts(ports.api, () => child.exitCode === null)
  } catch (error) {
    await stop()
    throw error
  }
  return { ports, child, [Symbol.asyncDispose]: stop }
}

/** What haproxy itself says of the configuration. Rejects with it when it is faulty. */
export async function checkHaproxy(variables: Readonly<Record<string, string>>): Promise<void> {
  await promisify(execFile)('haproxy', ['-c', '-f', HAPROXY_CONFIG], { env: { ...process.env, ...variables } })
}

export function haproxyVariables(ports: ReplicaPorts, replicas: readonly ReplicaPorts[]): Record<string, string> {
  const variables: Record<string, string> = {
    CBTOR_LISTEN_API: `127.0.0.1:${ports.api}`,
    CBTOR_LISTEN_HTTP: `127.0.0.1:${ports.http}`,
    CBTOR_LISTEN_SOCKS: `127.0.0.1:${ports.socks}`,
    CBTOR_HOST: `127.0.0.1:${ports.api}`,
    CBTOR_HOP: `cbtor-${ports.api}`,
    CBTOR_LISTEN_TLS: 'name api',
    CBTOR_SERVER_TLS: 'no-ssl',
  }
  replicas.forEach(({ api, http, socks }, index) => {
    const n = index + 1
    variables[`CBTOR_GW${n}`] = '127.0.0.1'
    variables[`CBTOR_API_PORT_${n}`] = `${api}`
    variables[`CBTOR_HTTP_PORT_${n}`] = `${http}`
    variables[`CBTOR_SOCKS_PORT_${n}`] = `${socks}`
  })
  return variables
}

/** Below those that a system gives to who dials: nobody is given one by chance while whoever had it is away. */
const [LOWEST_PORT, HIGHEST_PORT] = [20_000, 32_000]

/** Nobody has them just now. They are not held: whoever starts again after a kill has the same ones. */
export async function freePorts(): Promise<ReplicaPorts> {
  return { api: await freePort(), http: await freePort(), socks: await freePort() }
}

const drawn = new Set<number>()

async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST_PORT, HIGHEST_PORT)
    if (drawn.has(port)) continue
    drawn.add(port)
    const server = createServer().listen(port, '127.0.0.1')
    try {
      await once(server, 'listening')
      await once(server.close(), 'close')
      return port
    } catch {
      // Somebody has it.
    }
  }
}

/** Resolves once something listens there. Rejects when whoever should has ended, and after 10 s. */
async function accepts(port: number, isAlive: () => boolean): Promise<void> {
  for (const until = performance.now() + 10_000; performance.now() < until && isAlive(); await sleep(20)) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isOpen) return
  }
  throw new Error(`haproxy does not listen on port ${port}`)
}

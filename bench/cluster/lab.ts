import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startValkey, type Valkey } from '../../test/valkey.ts'
import { nodeFlags } from '../lib/node-flags.ts'
import { workerIds } from '../simulate/simulated.ts'
import { freePorts, type Haproxy, type ReplicaPorts, startHaproxy } from './haproxy.ts'
import type { ReplicaReady, ToWorldParent, WorldReport } from './words.ts'

export interface LabOptions {
  readonly replicas: number
  readonly workers: number
  /** How long a site takes, on average. */
  readonly siteMs: number
  /** Without it each replica is a service of its own, to see that the harness works. */
  readonly isShared: boolean
  /** Further fields of each replica's configuration. */
  readonly config?: Readonly<Record<string, unknown>>
}

/** Replicas, their store, what lies behind their workers, and haproxy in front of them, each in a process of its own. */
export interface Lab extends AsyncDisposable {
  readonly workers: readonly string[]
  readonly replicas: readonly Replica[]
  readonly store: Valkey
  readonly haproxy: Haproxy
  /** Of the API, by haproxy. */
  readonly url: string
  tell(order: ToWorldParent): void
  report(): Promise<WorldReport>
}

/** The world and the store end with this process; replicas do, too. */
export async function startLab(options: LabOptions): Promise<Lab> {
  await using parts = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-cluster-'))
  parts.defer(() => rmSync(directory, { recursive: true, force: true }))
  const workers = workerIds(options.workers)
  const store = parts.use(await startValkey())
  const world = fork(new URL('world.ts', import.meta.url), [
    JSON.stringify({ directory, workers, siteMs: options.siteMs }),
  ])
  parts.defer(() => endOf(world))
  await once(world, 'message', { signal: AbortSignal.timeout(10_000) })

  const front = await freePorts()
  const replicas: Replica[] = []
  for (let n = 1; n <= options.replicas; n++) {
    const ports = await freePorts()
    const name = `gw${n}`
    const state = join(directory, name)
    mkdirSync(state, { mode: 0o700 })
    const config = {
      ...{
        state,
        listen: `127.0.0.1:${ports.api}`,
        auth: 'off',
        hosts: [`127.0.0.1:${front.api}`],
        log: 'warn',
        log_format: 'json',
      },
      ...{ proxy: { http: `127.0.0.1:${ports.http}`, socks: `127.0.0.1:${ports.socks}` } },
      ...{ politeness: 'off', limits: { rate: 'off', concurrent: 'off' } },
      workers: workers.map((id) => ({ kind: 'openwrt', id, clearnet: 'socks' })),
      ...(options.isShared && {
        store: store.url,
        cluster: { replica: name, secret_file: join(directory, 'pool-secret') },
      }),
      ...options.config,
    }
    const replica = parts.use(new Replica(name, ports, { world: directory, config }))
    await replica.start()
    replicas.push(replica)
  }
  const haproxy = parts.use(
    await startHaproxy(
      replicas.map(({ ports }) => ports),
      front,
    ),
  )
  const owned = parts.move()
  return {
    ...{ workers, replicas, store, haproxy, url: `http://127.0.0.1:${haproxy.ports.api}` },
    tell: (order) => void world.send(order),
    async report() {
      const told = once(world, 'message', { signal: AbortSignal.timeout(10_000) })
      world.send({ type: 'report' } satisfies ToWorldParent)
      const [report] = (await told) as [WorldReport]
      return report
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** A gateway of the pool, which may be killed and started again. Its log is `NAME.log` in the directory of the world. */
export class Replica implements AsyncDisposable {
  readonly name: string
  readonly ports: ReplicaPorts
  readonly #options: { readonly world: string; readonly config: Readonly<Record<string, unknown>> }
  #child: ChildProcess | undefined

  constructor(
    name: string,
    ports: ReplicaPorts,
    options: { readonly world: string; readonly config: Readonly<Record<string, unknown>> },
  ) {
    this.name = name
    this.ports = ports
    this.#options = options
  }

  get url(): string {
    return `http://127.0.0.1:${this.ports.api}`
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Resolves with how long it took until its workers were well; milliseconds. */
  async start(): Promise<number> {
    const log = openSync(join(this.#options.world, `${this.name}.log`), 'a')
    const child = fork(
      new URL('replica.ts', import.meta.url),
      [JSON.stringify({ ...this.#options, replica: this.name })],
      { execArgv: [...nodeFlags()], stdio: ['ignore', log, log, 'ipc'] },
    )
    closeSync(log)
    this.#child = child
    const ready = once(child, 'message', { signal: AbortSignal.timeout(60_000) })
    const gone = once(child, 'exit').then(([code, signal]) => {
      throw new Error(`${this.name} ended before it was ready: ${signal ?? code}; its log:\n${this.#lastOfLog()}`)
    })
    gone.catch(() => {})
    const [{ ms }] = (await Promise.race([ready, gone])) as [ReplicaReady]
    return ms
  }

  /** As a machine that loses its power. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }

  #lastOfLog(): string {
    return readFileSync(join(this.#options.world, `${this.name}.log`), 'utf8').slice(-4_000)
  }
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

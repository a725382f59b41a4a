/** The service as an operator runs it: a process of its own, whose words are kept. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type ApiClient, createApiClient } from '../../src/client/client.ts'
import { CircuitWatch } from './circuit-watch.ts'

export const ROOT = new URL('../..', import.meta.url).pathname
const START_WITHIN_MS = 60_000
const READY_WITHIN_MS = 120_000

export interface GatewayOptions {
  /** A directory of its own; unix sockets are made in it, so its path must be short. */
  readonly directory: string
  /** As in the configuration file, but for `state` and `listen`. */
  readonly config: Readonly<Record<string, unknown>>
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>
  /** What stands before the command, such as `setpriv` to be another user. */
  readonly wrap?: readonly string[]
  /** The file that is run, instead of the service's own. */
  readonly main?: string
}

export class Gateway implements AsyncDisposable {
  readonly state: string
  readonly circuits: CircuitWatch
  /** Lines of its standard error and output. */
  readonly said: string[] = []
  #isEnding = false
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  #url = ''
  #ports: { readonly http: number; readonly socks: number } | undefined
  #api: ApiClient | undefined

  /** Resolves when the API answers; workers may still be starting. */
  static async start({ directory, config, env, wrap = [], main }: GatewayOptions): Promise<Gateway> {
    const state = join(directory, 's')
    mkdirSync(directory, { recursive: true })
    const file = join(directory, 'cbtor.yaml')
    writeFileSync(
      file,
      JSON.stringify({
        log: 'debug',
        auth: 'off',
        listen: '127.0.0.1:0',
        state,
        proxy: { http: '127.0.0.1:0', socks: '127.0.0.1:0' },
        ...config,
      }),
    )
    const [program = '', ...args] = [
      ...['setpriv', '--pdeathsig', 'KILL', '--', ...wrap],
      ...[process.execPath, main ?? join(ROOT, 'src/main.ts'), 'up', '--config', file],
    ]
    const child = spawn(program, args, {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...withoutTestRunner(process.env), ...env },
    })
    const gateway = new Gateway(child, state)
    try {
      await gateway.#answers()
      return gateway
    } catch (error) {
      await gateway[Symbol.asyncDispose]()
      throw error
    }
  }

  private constructor(child: ChildProcess, state: string) {
    this.state = state
    this.circuits = new CircuitWatch(state)
    this.#child = child
    this.#ended = once(child, 'close').then(
      ([code, signal]) => {
        if (!this.#isEnding)
          process.stderr.write(`The service ended (${code ?? signal}):\n${this.said.slice(-40).join('\n')}\n`)
      },
      () => {},
    )
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface(stream).on('line', (line) => this.said.push(line))
    }
  }

  get api(): ApiClient {
    if (this.#api === undefined) throw new Error('The service does not answer')
    return this.#api
  }

  /** Of the proxy, on 127.0.0.1. */
  get ports(): { readonly http: number; readonly socks: number } {
    if (this.#ports === undefined) throw new Error('The proxy does not answer')
    return this.#ports
  }

  get url(): string {
    return this.#url
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Resolves when all workers that are to run are healthy, and their circuits are watched. */
  async ready(): Promise<this> {
    const end = performance.now() + READY_WITHIN_MS
    for (;;) {
      const { workers } = await this.api.workers()
      const wanted = workers.filter(({ desired }) => desired === 'enabled')
      if (wanted.every(({ state }) => state === 'healthy')) {
        for (const { id, kind } of wanted) if (kind === 'local') await this.circuits.attach(id)
        return this
      }
      if (performance.now() > end) throw new Error(`Workers do not come up:\n${this.said.slice(-20).join('\n')}`)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  /** The pid of a worker's Tor. */
  async pidOf(worker: string): Promise<number> {
    const { process: tor } = await this.api.worker(worker)
    if (tor.pid === null) throw new Error(`The Tor of ${worker} does not run`)
    return tor.pid
  }

  /** Everything that the service has written where somebody could find it later. */
  async remains(): Promise<Readonly<Record<string, string>>> {
    const database = (suffix: string) => {
      try {
        return readFileSync(join(this.state, `cbtor.db${suffix}`), 'latin1')
      } catch {
        return ''
      }
    }
    const [metrics, events, health, workers] = await Promise.all([
      this.api.metrics(),
      this.api.events({ limit: 1_000 }),
      this.api.health(),
      this.api.workers(),
    ])
    return {
      log: this.said.join('\n'),
      store: ['', '-wal', '-journal'].map(database).join('\n'),
      metrics,
      events: JSON.stringify(events),
      health: JSON.stringify(health),
      workers: JSON.stringify(workers),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true
    await this.circuits[Symbol.asyncDispose]()
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGTERM')
    await this.#ended
  }

  async #answers(): Promise<void> {
    const end = performance.now() + START_WITHIN_MS
    for (;;) {
      const said = this.said.join('\n')
      const [, url] = /the API answers at (\S+)/.exec(said) ?? []
      const [, http, socks] = /the proxy answers at \S+:(\d+) and \S+:(\d+)/.exec(said) ?? []
      if (url !== undefined && socks !== undefined) {
        this.#url = url
        this.#ports = { http: Number(http), socks: Number(socks) }
        this.#api = createApiClient({ baseUrl: url })
        return
      }
      if (this.#child.exitCode !== null || performance.now() > end)
        throw new Error(`The service does not start:\n${this.said.join('\n')}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

/** A child of a test runs no tests. */
function withoutTestRunner({ NODE_TEST_CONTEXT: _, ...env }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return env
}

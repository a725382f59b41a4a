import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { nodeFlags } from '../lib/node-flags.ts'
import type { Way } from '../load/order.ts'
import type { Room, Started } from './room.ts'
import { ROOT } from './root.ts'

export interface CbtorPorts {
  readonly api: number
  readonly http: number
  readonly socks: number
}

/** The ways into a service. */
export interface CbtorWays {
  readonly fetch: Way & { readonly kind: 'fetch' }
  readonly raw: Way & { readonly kind: 'fetch' }
  readonly http: Way & { readonly kind: 'absolute' }
  readonly connect: Way & { readonly kind: 'connect' }
  readonly socks: Way & { readonly kind: 'socks' }
}

export function waysOf({ api, http, socks }: CbtorPorts): CbtorWays {
  return {
    fetch: { kind: 'fetch', port: api, path: '/api/v1/fetch' },
    raw: { kind: 'fetch', port: api, path: '/api/v1/fetch/raw' },
    http: { kind: 'absolute', ports: [http] },
    connect: { kind: 'connect', ports: [http] },
    socks: { kind: 'socks', ports: [socks] },
  }
}

export interface CbtorOptions {
  readonly name: string
  readonly directory: string
  readonly ports: CbtorPorts
  /** Fields of the configuration that are not of every service here. */
  readonly config: Readonly<Record<string, unknown>>
  /** Of Node, before the program. */
  readonly nodeFlags?: readonly string[]
}

/** A service in a process of its own, started as `npm start` starts it. */
export class Cbtor {
  readonly ports: CbtorPorts
  readonly pid: number
  readonly #room: Room

  /** Resolves once `workers` receive traffic. */
  static async start(room: Room, options: CbtorOptions, workers = 4): Promise<Cbtor> {
    const { ports } = options
    mkdirSync(options.directory, { recursive: true })
    const file = join(options.directory, `${options.name}.yaml`)
    writeFileSync(
      file,
      JSON.stringify({
        listen: `127.0.0.1:${ports.api}`,
        proxy: { http: `127.0.0.1:${ports.http}`, socks: `127.0.0.1:${ports.socks}` },
        state: join(options.directory, options.name),
        // One site is asked as often as can be, and by one caller.
        ...{ auth: 'off', politeness: 'off', limits: { rate: 'off', concurrent: 'off' } },
        targets: { allow_reserved: ['203.0.113.0/24', '198.51.100.0/24'] },
        ...options.config,
      }),
    )
    const command = [process.execPath, ...nodeFlags(), ...(options.nodeFlags ?? [])]
    const started = room.start(options.name, [...command, `${ROOT}/src/main.ts`, 'up', '--config', file])
    const cbtor = new Cbtor(room, ports, started)
    await cbtor.#receives(workers, room.logOf(options.name), started)
    return cbtor
  }

  private constructor(room: Room, ports: CbtorPorts, { pid }: Started) {
    this.#room = room
    this.ports = ports
    this.pid = pid
  }

  get ways(): CbtorWays {
    return waysOf(this.ports)
  }

  async get(path: string): Promise<string> {
    return await this.#room.run(['curl', '-sS', '-m', '5', `http://127.0.0.1:${this.ports.api}${path}`])
  }

  async post(path: string): Promise<string> {
    return await this.#room.run(['curl', '-sS', '-m', '30', '-X', 'POST', `http://127.0.0.1:${this.ports.api}${path}`])
  }

  async #receives(workers: number, log: string, { child }: Started): Promise<void> {
    const until = performance.now() + 90_000
    for (;;) {
      const health = await this.get('/api/v1/health').catch(() => '{}')
      if (((JSON.parse(health || '{}') as { receiving_traffic?: number }).receiving_traffic ?? 0) >= workers) return
      if (child.exitCode !== null || performance.now() > until)
        throw new Error(`CBTOR does not come up: ${readFileSync(log, 'utf8').trim().split('\n').slice(-5).join('\n')}`)
      await sleep(100)
    }
  }
}

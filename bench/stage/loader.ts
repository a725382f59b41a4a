import { createInterface } from 'node:readline'
import type { LoadOrder, LoadResult, Order, Reply } from '../load/order.ts'
import type { Room, Started } from './room.ts'
import { ROOT } from './root.ts'

/** The load generator, as it is told what to do. */
export class Loader {
  readonly #process: Started
  readonly #asked = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>()
  #id = 0

  constructor(room: Room, name = 'load') {
    this.#process = room.start(name, [process.execPath, `${ROOT}/bench/load/main.ts`], { readsOutput: true })
    const { stdout } = this.#process.child
    if (stdout === null) throw new Error('Cannot read what the load generator tells')
    createInterface(stdout).on('line', (line) => {
      const reply = JSON.parse(line) as Reply
      const asked = this.#asked.get(reply.id)
      this.#asked.delete(reply.id)
      if ('error' in reply) asked?.reject(new Error(reply.error))
      else asked?.resolve(reply.result)
    })
    this.#process.child.once('exit', () => {
      for (const { reject } of this.#asked.values()) reject(new Error('The load generator ended'))
    })
  }

  get pid(): number {
    return this.#process.pid
  }

  load(load: LoadOrder): Promise<LoadResult> {
    return this.#ask({ load })
  }

  /** Resolves with how many stand. */
  async openIdle(tunnels: number, port: number, to: string): Promise<number> {
    return (await this.#ask<{ open: number }>({ open: { tunnels, port, to } })).open
  }

  async closeIdle(): Promise<void> {
    await this.#ask({ close: true })
  }

  /** Resolves once something listens on each. */
  async listening(...ports: readonly number[]): Promise<void> {
    for (const port of ports) await this.#ask({ wait: { port, limitMs: 30_000 } })
  }

  #ask<T>(order: OrderBody): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const id = ++this.#id
      this.#asked.set(id, { resolve: resolve as (result: unknown) => void, reject })
      this.#process.child.stdin?.write(`${JSON.stringify({ id, ...order })}\n`)
    })
  }
}

type OrderBody = Order extends infer Each ? (Each extends Order ? Omit<Each, 'id'> : never) : never

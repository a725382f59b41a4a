import { connect, type Socket } from 'node:net'
import { HttpExchange } from './http-exchange.ts'
import { authorization, open, type Site } from './open.ts'
import type { LoadOrder, LoadResult } from './order.ts'

/** Does what it is asked to, and tells of each request. Never rejects: what goes wrong is in the result. */
export function runLoad(order: LoadOrder): Promise<LoadResult> {
  return new Load(order).run()
}

class Load {
  readonly #order: LoadOrder
  readonly #site: Site
  readonly #requestOf: () => Buffer
  readonly #open = new Set<Socket>()
  readonly #failed: Record<string, number> = {}
  readonly #startedMs: number[] = []
  readonly #firstByteMs: number[] = []
  readonly #totalMs: number[] = []
  readonly #failedMs: number[] = []
  #startedAt = 0
  #begun = 0
  #bytes = 0
  #isOver = false

  constructor(order: LoadOrder) {
    const { hostname, port } = new URL(order.url)
    this.#order = order
    this.#site = { host: hostname, port: Number(port) || 80 }
    this.#requestOf = requestWriter(order)
  }

  async run(): Promise<LoadResult> {
    const { perSecond, concurrency, isCutOff, seconds = 0 } = this.#order
    this.#startedAt = performance.now()
    const cut = isCutOff ? setTimeout(() => this.#cutOff(), seconds * 1_000) : undefined
    if (perSecond === undefined) await Promise.all(Array.from({ length: concurrency }, () => this.#place()))
    else await this.#paced(perSecond)
    clearTimeout(cut)
    const tookMs = performance.now() - this.#startedAt
    for (const socket of this.#open) socket.destroy()
    return {
      ok: this.#totalMs.length,
      failed: this.#failed,
      seconds: tookMs / 1_000,
      bytes: this.#bytes,
      startedMs: this.#startedMs,
      firstByteMs: this.#firstByteMs,
      totalMs: this.#totalMs,
      failedMs: this.#failedMs,
    }
  }

  /** One request after the other. */
  async #place(): Promise<void> {
    const { way, isKept } = this.#order
    let kept: HttpExchange | undefined
    while (this.#mayBegin()) {
      this.#begun += 1
      const used = kept?.isOpen ? kept : undefined
      kept = await this.#request(used)
      if (!isKept && way.kind !== 'fetch' && kept !== undefined) {
        this.#close(kept)
        kept = undefined
      }
    }
  }

  async #paced(perSecond: number): Promise<void> {
    const under: Promise<unknown>[] = []
    const idle: HttpExchange[] = []
    const one = async () => {
      let kept = idle.pop()
      while (kept !== undefined && !kept.isOpen) kept = idle.pop() // the server ends those that it has not heard of for long
      const done = await this.#request(kept)
      if (done === undefined) return
      if (this.#order.way.kind === 'fetch' && done.isOpen) idle.push(done)
      else this.#close(done)
    }
    while (this.#mayBegin()) {
      this.#begun += 1
      under.push(one())
      const dueMs = (this.#begun / perSecond) * 1_000 - (performance.now() - this.#startedAt)
      if (dueMs > 0) await new Promise((resolve) => setTimeout(resolve, dueMs))
    }
    await Promise.all(under)
  }

  #mayBegin(): boolean {
    const { seconds = Number.POSITIVE_INFINITY, count = Number.POSITIVE_INFINITY } = this.#order
    return !this.#isOver && this.#begun < count && performance.now() - this.#startedAt < seconds * 1_000
  }

  /** The connection that it went by, if it may be used again. */
  async #request(kept: HttpExchange | undefined): Promise<HttpExchange | undefined> {
    const { way, limitMs } = this.#order
    const from = performance.now()
    const at = from - this.#startedAt
    let socket: Socket | undefined
    const limit = setTimeout(() => socket?.destroy(new Error(`nothing within ${limitMs} ms`)), limitMs)
    const own = (made: Socket) => {
      socket = made
      this.#open.add(made)
      made.once('close', () => this.#open.delete(made))
    }
    try {
      const exchange = kept ?? new HttpExchange(await open(way, this.#site, own))
      socket ??= this.#sockets.get(exchange)
      if (socket) this.#sockets.set(exchange, socket)
      const answer = await exchange.ask(this.#requestOf(), (bytes) => {
        this.#bytes += bytes
      })
      if (answer.status !== 200) throw new Error(`status ${answer.status}`)
      this.#startedMs.push(at)
      this.#firstByteMs.push(answer.firstByteAt - from)
      this.#totalMs.push(performance.now() - from)
      return exchange
    } catch (error) {
      if (this.#isOver) return undefined
      const what = error instanceof Error ? error.message : String(error)
      this.#failed[what] = (this.#failed[what] ?? 0) + 1
      this.#failedMs.push(at)
      socket?.destroy()
      // Whoever is refused at once does not ask in a tight loop.
      if (this.#order.perSecond === undefined) await new Promise((resolve) => setTimeout(resolve, 10))
      return undefined
    } finally {
      clearTimeout(limit)
    }
  }

  readonly #sockets = new WeakMap<HttpExchange, Socket>()

  #close(exchange: HttpExchange): void {
    this.#sockets.get(exchange)?.destroy()
  }

  #cutOff(): void {
    this.#isOver = true
    for (const socket of this.#open) socket.destroy()
  }
}

function requestWriter({ way, url, isKept }: LoadOrder): () => Buffer {
  const { host, pathname } = new URL(url)
  if (way.kind === 'fetch') {
    const body = JSON.stringify({ url, ...way.fields })
    const head = `POST ${way.path} HTTP/1.1\r\nHost: 127.0.0.1:${way.port}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`
    const request = Buffer.from(head + body)
    return () => request
  }
  const path = way.kind === 'absolute' ? url : pathname
  const end = isKept ? '' : 'Connection: close\r\n'
  const requestWith = (extra: string) => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${extra}${end}\r\n`)
  if (way.kind === 'absolute' && way.fresh) return () => requestWith(authorization(way))
  const request = requestWith(way.kind === 'absolute' ? authorization(way) : '')
  return () => request
}

const idle = new Set<Socket>()

/** Resolves with how many stand. */
export async function openIdle(tunnels: number, port: number, to: string): Promise<number> {
  for (let n = 0; n < tunnels; n += 50)
    await Promise.all(Array.from({ length: Math.min(50, tunnels - n) }, () => openOne(port, to)))
  return idle.size
}

export function closeIdle(): void {
  for (const socket of idle) socket.destroy()
  idle.clear()
}

function openOne(port: number, to: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const over = () => {
      idle.delete(socket)
      resolve()
    }
    socket.on('error', over).on('close', over)
    socket.once('data', (answer) => {
      if (answer.toString('latin1', 9, 12) === '200') idle.add(socket)
      resolve()
    })
    socket.write(`CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\n\r\n`)
  })
}

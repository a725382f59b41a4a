/** A Redis or Valkey server of our own, for tests. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

export interface ValkeyOptions {
  /** On a port of 127.0.0.1 rather than on a unix socket. */
  readonly tcp?: boolean
  /** Of the default user. Without one everybody may do everything. */
  readonly password?: string
  /** Takes TLS on its port alone; `tcp` is not needed then. Paths of PEM files. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** More of its own options, such as `['--maxmemory', '10mb']`. */
  readonly options?: readonly string[]
}

/** What a server is for its tests. It keeps its data over `stop`, `kill` and `restart`. */
export interface Valkey extends AsyncDisposable {
  /** As `store` has it in the configuration: `redis+unix:///tmp/…/store.sock`, `redis://127.0.0.1:40123`. */
  readonly url: string
  readonly password: string | undefined
  /** Of the process that runs now. */
  readonly pid: number
  /** Connections stay, and nothing answers any more (SIGSTOP). */
  freeze(): void
  thaw(): void
  /** Ends it; everything that was acknowledged is kept. */
  stop(): Promise<void>
  /** As `stop`, with SIGKILL. */
  kill(): Promise<void>
  /** Starts it where it was, after ending it if it runs. Resolves when it answers. */
  restart(): Promise<void>
  /** What `redis-cli` says: `cli('GET', 'x')`. */
  cli(...words: readonly string[]): Promise<string>
}

const ATTEMPTS = 5

/** Resolves when it answers. It ends with this process at the latest. */
export async function startValkey(options: ValkeyOptions = {}): Promise<Valkey> {
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-valkey-'))
  for (let attempt = 1; ; attempt++) {
    const server = new Server(directory, options, options.tcp || options.tls ? await freePort() : undefined)
    try {
      await server.restart()
      return server
    } catch (error) {
      // Somebody else took the port meanwhile.
      if (attempt < ATTEMPTS && server.hasPort) continue
      rmSync(directory, { recursive: true, force: true })
      throw error
    }
  }
}

class Server implements Valkey {
  readonly #directory: string
  readonly #options: ValkeyOptions
  readonly #port: number | undefined
  #child: ChildProcess | undefined

  constructor(directory: string, options: ValkeyOptions, port: number | undefined) {
    this.#directory = directory
    this.#options = options
    this.#port = port
  }

  get hasPort(): boolean {
    return this.#port !== undefined
  }

  get url(): string {
    if (this.#port === undefined) return `redis+unix://${this.#socket}`
    return `${this.#options.tls ? 'rediss' : 'redis'}://127.0.0.1:${this.#port}`
  }

  get password(): string | undefined {
    return this.#options.password
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error('the server does not run')
    return pid
  }

  get #socket(): string {
    return join(this.#directory, 'store.sock')
  }

  freeze(): void {
    process.kill(this.pid, 'SIGSTOP')
  }

  thaw(): void {
    process.kill(this.pid, 'SIGCONT')
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async restart(): Promise<void> {
    await this.stop()
    const words = ['--pdeathsig', 'KILL', 'redis-server', ...this.#words()]
    const child = spawn('setpriv', words, { stdio: ['ignore', 'pipe', 'inherit'], cwd: this.#directory })
    this.#child = child
    const said: string[] = []
    const gone = once(child, 'exit')
    for await (const line of createInterface({ input: child.stdout })) {
      said.push(line)
      if (!/ready to accept connections/i.test(line)) continue
      child.stdout.resume() // else it would wait for us to read
      return
    }
    await gone
    this.#child = undefined
    throw new Error(`redis-server has not started:\n${said.join('\n')}`)
  }

  async cli(...words: readonly string[]): Promise<string> {
    const { password, tls } = this.#options
    const at = this.#port === undefined ? ['-s', this.#socket] : ['-p', `${this.#port}`]
    const secure = tls ? ['--tls', '--insecure'] : []
    const { stdout } = await promisify(execFile)('redis-cli', [...at, ...secure, ...words], {
      env: { ...process.env, ...(password !== undefined && { REDISCLI_AUTH: password }) },
      timeout: 10_000,
    })
    return stdout.trimEnd()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill(signal)
    child.kill('SIGCONT') // one that is frozen hears nothing
    await gone
  }

  #words(): readonly string[] {
    const { password, tls, options = [] } = this.#options
    return [
      ...['--dir', this.#directory, '--save', '', '--appendonly', 'yes', '--daemonize', 'no', '--logfile', ''],
      ...(this.#port === undefined ? ['--port', '0', '--unixsocket', this.#socket, '--unixsocketperm', '700'] : []),
      ...(this.#port === undefined ? [] : ['--bind', '127.0.0.1', tls ? '--tls-port' : '--port', `${this.#port}`]),
      ...(tls
        ? ['--port', '0', '--tls-cert-file', tls.cert, '--tls-key-file', tls.key, '--tls-auth-clients', 'no']
        : []),
      ...(password === undefined ? [] : ['--requirepass', password]),
      ...options,
    ]
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port is free')
  return address.port
}

/** Asks a service under test by each of its ports, and keeps what it was answered. */
import { once } from 'node:events'
import { connect } from 'node:net'

export interface Ports {
  /** Of the API, without a slash at its end. */
  readonly url: string
  readonly http: number
  readonly socks: number
}

export interface Asked {
  readonly status: number
  /** Of the problem; undefined where it is none. */
  readonly code: string | undefined
  readonly text: string
}

export interface Credentials {
  readonly user?: string
  readonly password: string
}

const WITHIN_MS = 30_000

export class Asker {
  readonly #ports: Ports
  readonly #key: string

  /** `key`: for the API, where nothing else is said. */
  constructor(ports: Ports, key: string) {
    this.#ports = ports
    this.#key = key
  }

  as(key: string): Asker {
    return new Asker(this.#ports, key)
  }

  async api(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Asked> {
    const response = await fetch(`${this.#ports.url}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        authorization: `Bearer ${this.#key}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(WITHIN_MS),
    })
    return asked(response.status, await response.text())
  }

  fetch(request: Readonly<Record<string, unknown>>): Promise<Asked> {
    return this.api('POST', '/api/v1/fetch', request)
  }

  /** `lines`: all of a request's head, in which HOST is the address that is asked; then the body. */
  raw(port: 'api' | 'http', lines: readonly string[], body = ''): Promise<Asked> {
    const at = port === 'api' ? Number(new URL(this.#ports.url).port) : this.#ports.http
    return this.#said(at, `${lines.join('\r\n').replace('HOST', `127.0.0.1:${at}`)}\r\n\r\n${body}`)
  }

  /** What is sent as it is, and all that comes back. */
  bytes(port: 'api' | 'http' | 'socks', bytes: string | Buffer): Promise<Asked> {
    const at = port === 'api' ? Number(new URL(this.#ports.url).port) : this.#ports[port]
    return this.#said(at, bytes)
  }

  connect(authority: string, credentials: Credentials): Promise<Asked> {
    return this.raw('http', [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`, basic(credentials)])
  }

  forward(url: string, credentials: Credentials, lines: readonly string[] = [], method = 'GET'): Promise<Asked> {
    const head = [`${method} ${url} HTTP/1.1`, 'Host: x', basic(credentials), ...lines, 'Connection: close']
    return this.raw('http', head)
  }

  /** One stream by SOCKS, over which a page is asked for; the code is the reply. */
  socks(host: string, port: number, { user = '', password }: Credentials, command = 1): Promise<Asked> {
    const text = (value: string) => Buffer.from([value.length, ...Buffer.from(value)])
    const bytes = Buffer.concat([
      Buffer.from([5, 1, 2, 1]),
      ...[text(user), text(password)],
      ...[Buffer.from([5, command, 0, 3]), text(host), Buffer.from([port >> 8, port & 0xff])],
      Buffer.from(`GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`),
    ])
    return this.#said(this.#ports.socks, bytes)
  }

  async #said(port: number, bytes: string | Buffer): Promise<Asked> {
    const socket = connect({ host: '127.0.0.1', port })
    socket.on('error', () => {})
    socket.setTimeout(WITHIN_MS, () => socket.destroy())
    await once(socket, 'connect')
    socket.write(bytes)
    const chunks: Buffer[] = []
    const isOver = (text: string) => {
      const end = text.indexOf('\r\n\r\n')
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? Number.NaN)
      return end >= 0 && (isTunnel(text) || text.length >= end + 4 + length)
    }
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      if (isOver(Buffer.concat(chunks).toString('latin1'))) socket.destroy()
    })
    if (!socket.closed) await once(socket, 'close')
    const text = Buffer.concat(chunks).toString('latin1')
    return asked(Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text)
  }
}

function isTunnel(text: string): boolean {
  return text.startsWith('HTTP/1.1 200 Connection')
}

function asked(status: number, text: string): Asked {
  return { status, text, code: status >= 400 ? /"code":"(\w+)"/.exec(text)?.[1] : undefined }
}

function basic({ user = '', password }: Credentials): string {
  return `Proxy-Authorization: Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

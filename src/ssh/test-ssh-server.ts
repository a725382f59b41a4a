import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import ssh2 from 'ssh2'
import { fingerprint, generateKeyPair } from './keys.ts'
import type { SshTarget } from './session.ts'

export interface TestSshServerOptions {
  /** Decides what becomes of a command. */
  readonly onExec?: (channel: ssh2.ServerChannel, command: string) => void
  /** Plays what listens at the port that a forward is for. */
  readonly onForward?: (channel: ssh2.ServerChannel) => void
}

/** An SSH server for tests that does what dropbear would only do by chance, or never. */
export class TestSshServer implements AsyncDisposable {
  /** The ways in which clients have tried to get in, in order. */
  readonly authMethods: readonly string[]
  /** The packets that came, by their names, with what ssh2 tells of them. */
  readonly received: readonly string[]
  readonly target: SshTarget
  readonly #server: ssh2.Server
  readonly #clients: Set<ssh2.Connection>

  static async start({ onExec, onForward }: TestSshServerOptions): Promise<TestSshServer> {
    const host = generateKeyPair()
    const clients = new Set<ssh2.Connection>()
    const authMethods: string[] = []
    const received: string[] = []
    const debug = (text: string) => {
      const [, packet] = /Inbound: (.*)/.exec(text) ?? []
      if (packet !== undefined) received.push(packet)
    }
    const server = new ssh2.Server({ hostKeys: [host.privateKey], debug }, (client) => {
      clients.add(client)
      client.on('close', () => clients.delete(client))
      client.on('error', () => {})
      client.on('authentication', (context) => {
        authMethods.push(context.method)
        context.accept()
      })
      client.on('session', (accept) => {
        const session = accept()
        session.on('exec', (acceptExec, _reject, { command }) => onExec?.(acceptExec(), command))
        session.on('signal', (acceptSignal) => acceptSignal?.())
      })
      client.on('tcpip', (accept) => onForward?.(accept()))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new TestSshServer(server, clients, { authMethods, received }, host.authorizedKey)
  }

  private constructor(
    server: ssh2.Server,
    clients: Set<ssh2.Connection>,
    told: { authMethods: string[]; received: string[] },
    hostKey: string,
  ) {
    this.#server = server
    this.#clients = clients
    this.authMethods = told.authMethods
    this.received = told.received
    const { port } = server.address() as AddressInfo
    this.target = {
      user: 'root',
      host: '127.0.0.1',
      port,
      hostKey: fingerprint(Buffer.from(hostKey.split(' ')[1] ?? '', 'base64')),
      privateKey: generateKeyPair().privateKey,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.end()
    const closed = Promise.withResolvers<void>()
    this.#server.close(() => closed.resolve())
    await closed.promise
  }
}

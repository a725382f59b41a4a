import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import type { TorNetwork } from '../../src/testnet/network.ts'
import { TorControl } from '../../src/tor/control/client.ts'
import { TorProcess } from '../../src/tor/process/tor-process.ts'
import { type TorDirectory, torDirectory } from '../../src/tor/tor-directory.ts'
import type { SocksFlag } from '../../src/tor/torrc/socks-port.ts'
import { torrc } from '../../src/tor/torrc/torrc.ts'
import type { ControlCredentials } from '../../src/workers/external/control-endpoint.ts'

const never = new AbortController().signal

/** Of each network, so that every Tor has a directory of its own. */
let made = 0

export interface SomebodysTorOptions {
  readonly network: TorNetwork
  /** Its number as a client of the network. */
  readonly client: number
  /** None: Tor's own defaults. */
  readonly flags?: readonly SocksFlag[]
  /** Instead of a cookie. */
  readonly password?: string
}

/** A Tor that is not run by a driver: what whoever runs it does to it, and what befalls it. */
export class SomebodysTor implements AsyncDisposable {
  readonly directory: TorDirectory
  readonly credentials: ControlCredentials
  readonly #process: TorProcess

  /** Resolves when its ports are open; it bootstraps from then on. */
  static async start(options: SomebodysTorOptions): Promise<SomebodysTor> {
    const { password } = options
    const tor = new SomebodysTor(options, password === undefined ? [] : [await hashed(password)])
    await tor.#process.start(never)
    return tor
  }

  private constructor({ network, client, flags = [], password }: SomebodysTorOptions, extra: readonly string[]) {
    this.directory = torDirectory(join(network.directory, `somebody${made++}`))
    const { data, socksSocket, controlSocket, controlCookie } = this.directory
    this.credentials =
      password === undefined ? { method: 'cookie-file', path: controlCookie } : { method: 'password', password }
    this.#process = new TorProcess({
      command: network.clientCommand(),
      torrc: torrc({
        dataDirectory: data,
        socksPorts: [{ listen: { path: socksSocket }, flags }],
        controlSocket,
        ...(password === undefined && { cookieAuthFile: controlCookie }),
        owningControllerProcess: process.pid,
        confluxEnabled: false,
        rejectInternalAddresses: network.isolation === 'namespace',
        extra: [...network.clientTorrc({ client }), ...extra],
      }),
      directory: this.directory,
      logger: silentLogger,
      clock: systemClock,
    })
  }

  isAlive(): boolean {
    const { pid } = this.#process.observe()
    return pid !== undefined && existsSync(`/proc/${pid}/exe`)
  }

  async bootstrapped(): Promise<void> {
    await this.#process.waitForBootstrap(never)
  }

  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    const { pid } = this.#process.observe()
    if (pid !== undefined) process.kill(pid, name)
  }

  /** Ends it, if it runs, and starts it with the torrc that it had. */
  async restart(): Promise<void> {
    await this.#process.stop(never)
    await this.#process.start(never)
  }

  /** Opens its SOCKS port anew, with these flags instead of its own. */
  async changeSocksPort(flags: string): Promise<void> {
    const { controlSocket, socksSocket } = this.directory
    await using control = await TorControl.open(controlSocket, this.credentials, {}, never)
    // A listener that is open stays as it is.
    await control.setConf([['SocksPort', '0']], never)
    await control.setConf([['SocksPort', `unix:${socksSocket} ${flags}`]], never)
  }

  /** Also one that hangs. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop(AbortSignal.abort())
  }
}

async function hashed(password: string): Promise<string> {
  const { stdout } = await promisify(execFile)('tor', ['--quiet', '--hash-password', password])
  return `HashedControlPassword ${stdout.trim().split('\n').at(-1)}`
}

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { boxFilePath, readBoxFile } from '../boxes/box-file.ts'
import type { ServiceConfig } from '../config/read-config.ts'
import type { Clock } from '../lib/clock.ts'
import { silentLogger } from '../lib/log.ts'
import { SshSession } from '../ssh/session.ts'
import type { TorControl } from '../tor/control/client.ts'
import type { SocksProxy } from '../tor/socks/dial.ts'
import { torDirectory } from '../tor/tor-directory.ts'
import { openControl } from '../workers/external/control-endpoint.ts'
import { openBoxControl } from '../workers/openwrt/box-control.ts'
import { BoxTor } from '../workers/openwrt/box-tor.ts'

type WorkerConfig = ServiceConfig['workers'][number]

/** The ways into the Tor of a worker, beside those that the service uses. */
export interface TorDoors extends AsyncDisposable {
  readonly socks: SocksProxy
  /** Undefined when the configuration has no control port. Rejects with why there is no getting in. */
  readonly openControl: ((signal: AbortSignal) => Promise<TorControl>) | undefined
}

const nothing = async () => {}

/** Touches nothing yet. Throws when what the configuration names cannot be read. */
export function torDoors(config: ServiceConfig, worker: WorkerConfig, clock: Clock): TorDoors {
  switch (worker.kind) {
    case 'local': {
      const { socksSocket, controlSocket, controlCookie } = torDirectory(join(config.state, 'workers', worker.id))
      const credentials = { method: 'cookie-file', path: controlCookie } as const
      return {
        socks: { path: socksSocket },
        openControl: (signal) => openControl({ at: { path: controlSocket }, credentials }, silentLogger, signal),
        [Symbol.asyncDispose]: nothing,
      }
    }
    case 'external': {
      const { socks, control: at, cookie_file: cookie, password_file: password } = worker
      return {
        socks,
        openControl:
          at && ((signal) => openControl({ at, credentials: credentialsOf(cookie, password) }, silentLogger, signal)),
        [Symbol.asyncDispose]: nothing,
      }
    }
    case 'openwrt': {
      const { ssh, tunnel } = readBoxFile(boxFilePath(config.state, worker.id))
      const target = { ...ssh, privateKey: readFileSync(ssh.keyFile, 'utf8') }
      const session = new SshSession({ target, clock })
      return {
        socks: { host: `10.201.${tunnel.n}.1`, port: 9050, from: `10.201.${tunnel.n}.2` },
        openControl: (signal) => openBoxControl(new BoxTor(session, clock), { clock, logger: silentLogger }, signal),
        [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
      }
    }
  }
}

function credentialsOf(cookie: string | undefined, password: string | undefined) {
  if (cookie !== undefined) return { method: 'cookie-file', path: cookie } as const
  const text = password === undefined ? '' : readFileSync(password, 'utf8').replace(/\r?\n$/, '')
  return { method: 'password', password: text } as const
}

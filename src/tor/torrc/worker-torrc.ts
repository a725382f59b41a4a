import type { TorDirectory } from '../tor-directory.ts'
import { type TorrcOptions, torrc } from './torrc.ts'

export interface WorkerTorrcOptions
  extends Pick<TorrcOptions, 'rejectInternalAddresses' | 'clientOnionAuthDir' | 'geoIPFile' | 'geoIPv6File' | 'extra'> {
  readonly directory: TorDirectory
  /** The process that this tor is for, and which it does not outlive. */
  readonly owner: number
}

/**
 * The torrc of a worker: a client whose streams are isolated by SOCKS user name, which keeps the circuit and so the exit of a
 * user name that is in use, reports errors in full, and is reached by unix sockets alone. Throws `TorrcError`.
 */
export function workerTorrc({ directory, owner, ...others }: WorkerTorrcOptions): string {
  return torrc({
    ...others,
    dataDirectory: directory.data,
    socksPorts: [
      {
        listen: { path: directory.socksSocket },
        flags: ['IsolateSOCKSAuth', 'KeepAliveIsolateSOCKSAuth', 'ExtendedErrors'],
      },
    ],
    controlSocket: directory.controlSocket,
    cookieAuthFile: directory.controlCookie,
    owningControllerProcess: owner,
    confluxEnabled: false,
  })
}

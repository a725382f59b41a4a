import { torDirectory } from '../tor/tor-directory.ts'
import { TorrcError } from '../tor/torrc/torrc.ts'
import { workerTorrc } from '../tor/torrc/worker-torrc.ts'
import type { ConfigDocument } from './schema.ts'

export interface TorrcFault {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/** Where the files are is of no account here. */
const DIRECTORY = torDirectory('/worker')
/** Lines with something that somebody must not see. */
const SECRET_LINE = /"(Bridge|HashedControlPassword|\w*(?:Password|Authenticator))\s[^"]*"/gi

/** What is dangerous in the torrc lines of local workers, each once: those of all workers, then those of one. */
export function torrcFaults({ tor, workers }: Pick<ConfigDocument, 'tor' | 'workers'>): readonly TorrcFault[] {
  const faultsOf = (extra: readonly string[]): readonly string[] => {
    try {
      workerTorrc({
        ...{ directory: DIRECTORY, owner: 1, extra },
        rejectInternalAddresses: tor.reject_internal_addresses,
      })
      return []
    } catch (error) {
      if (error instanceof TorrcError) return error.faults
      throw error
    }
  }
  const toFault = (path: readonly PropertyKey[]) => (message: string) => ({
    ...{ path, message: message.replace(SECRET_LINE, '"$1 ***"') },
  })
  const ofAll = tor.torrc.length === 0 ? [] : faultsOf(tor.torrc)
  return [
    ...ofAll.map(toFault(['tor', 'torrc'])),
    ...workers.flatMap((worker, n) => {
      if (worker.kind !== 'local' || worker.torrc.length === 0) return []
      const own = faultsOf([...tor.torrc, ...worker.torrc]).filter((fault) => !ofAll.includes(fault))
      return own.map(toFault(['workers', n, 'torrc']))
    }),
  ]
}

import { isAbsolute, join } from 'node:path'

/** `sun_path` of a unix socket's address holds 108 bytes, the closing NUL among them (unix(7)). */
export const MAX_SOCKET_PATH_BYTES = 107

/** Where the files of one tor process lie. The directory itself has mode 0700, for whoever reaches a socket may use it. */
export interface TorDirectory {
  readonly path: string
  readonly torrc: string
  /** `DataDirectory`: the consensus and, in `state`, the guards. Kept from one start to the next. */
  readonly data: string
  readonly controlSocket: string
  readonly controlCookie: string
  readonly socksSocket: string
  /** Who runs here: see `predecessor.ts`. */
  readonly pidFile: string
}

/** Names the files. Touches nothing. Throws `RangeError` for a path that is not absolute or too long for unix sockets. */
export function torDirectory(path: string): TorDirectory {
  if (!isAbsolute(path)) throw new RangeError(`Cannot run tor in a directory: its path is not absolute: ${path}`)
  const directory = {
    path,
    torrc: join(path, 'torrc'),
    data: join(path, 'data'),
    controlSocket: join(path, 'control'),
    controlCookie: join(path, 'cookie'),
    socksSocket: join(path, 'socks'),
    pidFile: join(path, 'tor.pid'),
  }
  const excess = Buffer.byteLength(directory.controlSocket) - MAX_SOCKET_PATH_BYTES
  if (excess > 0)
    throw new RangeError(
      `Cannot run tor in a directory: its path is ${excess} bytes too long for unix sockets: ${path}`,
    )
  return directory
}

import { lstat, stat, unlink } from 'node:fs/promises'
import { type AddressInfo, connect, type Server } from 'node:net'
import { dirname } from 'node:path'
import { CbtorError } from '../domain/errors.ts'
import { type ListenAddress, showListenAddress, type UnixAddress } from './address.ts'

/** What fits into a sockaddr_un with its terminating zero. */
const MAX_PATH = 107

/** What an operator makes of an errno. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES:
    'EACCES: this user may not; ports below 1024 take CAP_NET_BIND_SERVICE, a socket the right to write its directory',
  EADDRNOTAVAIL: 'EADDRNOTAVAIL: no interface of this machine has the address',
}

/**
 * Has a server listen, and resolves with the address that it has got. The socket file of a unix address is made with mode 600; one
 * that a dead process has left is removed first. Rejects with `invalid_input`, and a reason, when the address cannot be had.
 */
export async function bind(server: Server, address: ListenAddress): Promise<ListenAddress> {
  try {
    if ('path' in address) {
      await makeWay(address)
      await listening(server, () => listenPrivately(server, address))
      return address
    }
    await listening(server, () => server.listen({ host: address.host, port: address.port }))
    const { address: host, port } = server.address() as AddressInfo
    return { host, port }
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException
    const reason = REASONS[code] ?? (code || message)
    throw new CbtorError('invalid_input', `Cannot listen on ${showListenAddress(address)}: ${reason}`, { cause })
  }
}

function listening(server: Server, listen: () => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('listening', resolve).once('error', reject)
  listen()
  return promise.finally(() => server.off('listening', resolve).off('error', reject))
}

/** The socket is made with its mode, so that there is no moment in which others may use it. */
function listenPrivately(server: Server, { path }: UnixAddress): void {
  const umask = process.umask(0o177)
  try {
    server.listen({ path })
  } finally {
    process.umask(umask)
  }
}

/** Removes a socket that nobody listens on. Throws when anything else is there, or could be put there by others. */
async function makeWay({ path }: UnixAddress): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH) throw new Error(`the path is longer than ${MAX_PATH} bytes`)
  const { mode } = await stat(dirname(path)).catch(() => {
    throw new Error('its directory is not there')
  })
  if (mode & 0o002) {
    const why = 'everybody may write its directory, so that somebody else could listen there and be shown keys'
    throw new Error(`${why}; take a directory of its own`)
  }
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (found === undefined) return
  if (!found.isSocket()) throw new Error('something is there that is not a socket; remove it, or take another path')
  const answer = await knock(path)
  if (answer === 'listening') throw new Error('another process listens there')
  if (answer !== 'ECONNREFUSED')
    throw new Error(`a socket is there, and there is no telling whether it is in use: ${answer}`)
  await unlink(path)
}

/** `listening`, or the errno of what kept us from connecting. */
function knock(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    socket
      .once('connect', () => resolve('listening'))
      .once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.once('connect', () => socket.destroy())
  })
}

import type { Socket } from 'node:net'
import type { ClientBytes } from '../client-bytes.ts'
import { endGently } from '../end-gently.ts'
import { runTunnel } from '../open-tunnel.ts'
import type { PortOptions } from '../port.ts'
import { problemOf } from '../problem-of.ts'
import { admit } from './credentials.ts'
import type { ConnectRequest } from './plain-connect.ts'
import { writeProblem } from './problem-answer.ts'
import { parseAuthority } from './request-target.ts'

const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n\r\n'

/** Serves one CONNECT, whose socket is not, or no longer, HTTP's, and settles when its tunnel has ended. Never rejects. */
export async function serveConnect(
  options: PortOptions,
  { authority, headers }: ConnectRequest,
  socket: Socket,
  bytes: ClientBytes,
): Promise<void> {
  try {
    const routing = admit(options.backend, headers)
    const target = parseAuthority(authority)
    const accept = () => socket.write(ESTABLISHED)
    await runTunnel(options, { ...routing, ...target }, { socket, bytes, accept })
  } catch (error) {
    const problem = problemOf(bytes.signal.aborted ? bytes.signal.reason : error, options, 'connect')
    bytes[Symbol.dispose]()
    options.logger.debug({ port: 'connect', code: problem.code }, 'request refused')
    if (problem.code === 'client_gone') socket.destroy()
    if (socket.destroyed) return
    writeProblem(socket, problem, options.random)
    endGently(socket, options.clock)
  }
}

import { Resolver } from 'node:dns/promises'
import { connect, isIP, isIPv4, type Socket } from 'node:net'
import { onAbort } from '../../lib/abort.ts'
import { TransparentResolveError, TransparentUnreachableError } from './errors.ts'

export interface TransparentDial {
  /** IPv4: where the stream is to go, or the virtual address that stands for a name. */
  readonly address: string
  readonly port: number
  /** An address of our end of the tunnel: it alone decides which way the packets take, and by it Tor keeps streams apart. */
  readonly from: { readonly host: string; readonly port: number }
}

/**
 * Opens a TCP connection that a firewall on its way hands to Tor's TransPort. Resolves when the connection stands, which
 * says nothing of the target. Rejects with `TransparentUnreachableError` or with the signal's reason, leaving no socket behind;
 * with `RangeError` for anything that would make the system's resolver or routing table decide where the packets go.
 */
export async function dialTransparently(
  { address, port, from }: TransparentDial,
  signal: AbortSignal,
): Promise<Socket> {
  if (!isIPv4(address) || !isIPv4(from.host)) throw new RangeError('Cannot dial: both ends must be IPv4 addresses')
  signal.throwIfAborted()
  const socket = connect({ host: address, port, localAddress: from.host, localPort: from.port, noDelay: true })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.once('connect', resolve)
  socket.on('error', (cause) => {
    reject(new TransparentUnreachableError(`Cannot reach the TransPort: ${cause.message}`, { cause }))
  })
  using _ = onAbort(signal, reject)
  try {
    await promise
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  }
}

export interface TransparentResolve {
  readonly name: string
  /** Tor's DNSPort, or any address from which a firewall leads there. */
  readonly server: { readonly host: string; readonly port: number }
  /** An address of our end of the tunnel. */
  readonly from: string
  /** Of one question; a packet may get lost, so that it is asked again. */
  readonly timeoutMs: number
  readonly tries: number
}

/**
 * Asks Tor's DNSPort for the IPv4 address of a name, or the virtual address that stands for it (`AutomapHostsOnResolve`). Never
 * asks the system's resolver. Rejects with `TransparentResolveError` or with the signal's reason.
 */
export async function resolveTransparently(query: TransparentResolve, signal: AbortSignal): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask(query, signal)
    } catch (error) {
      const isSilence = error instanceof TransparentResolveError && error.code === 'ETIMEOUT'
      if (!isSilence || attempt >= query.tries) throw error
    }
  }
}

/** From a port of its own each time, so that nothing which holds up one question on its way holds up the next. */
async function ask({ name, server, from, timeoutMs }: TransparentResolve, signal: AbortSignal): Promise<string> {
  if (isIP(server.host) === 0 || isIP(from) === 0)
    throw new RangeError('Cannot resolve: both ends must be IP addresses')
  signal.throwIfAborted()
  const resolver = new Resolver({ timeout: timeoutMs, tries: 1 })
  resolver.setServers([`${server.host}:${server.port}`])
  resolver.setLocalAddress(from)
  using _ = onAbort(signal, () => resolver.cancel())
  try {
    // With a dot at its end, or a search list of the system might be tried.
    const [address] = await resolver.resolve4(`${name}.`)
    if (address === undefined) throw new TransparentResolveError('ENODATA', 'The DNSPort knows no address for the name')
    return address
  } catch (cause) {
    signal.throwIfAborted()
    if (cause instanceof TransparentResolveError) throw cause
    const code = (cause as NodeJS.ErrnoException).code ?? 'EUNKNOWN'
    throw new TransparentResolveError(code, `The DNSPort does not resolve the name: ${code}`, { cause })
  }
}

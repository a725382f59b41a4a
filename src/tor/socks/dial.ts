import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { onAbort } from '../../lib/abort.ts'
import type { Handshake } from '../../lib/handshake.ts'
import { SocksProtocolError, SocksUnreachableError } from './errors.ts'
import { ask, negotiate, type SocksCommand } from './handshake.ts'
import type { SocksAuth } from './messages.ts'

/**
 * Where a SOCKS proxy listens: a unix socket, or a host of the operator's. `from`: the address of our own that a connection is to
 * come from; it decides which way the packets take, and without it on any interface there is no connection.
 */
export type SocksProxy =
  | { readonly path: string }
  | { readonly host: string; readonly port: number; readonly from?: string }

export interface SocksDial {
  readonly proxy: SocksProxy
  /** What tor isolates streams by. With it, nothing but user name and password is offered; without it, only "none". */
  readonly auth?: SocksAuth
  /** A name (resolved by the exit) or an IP literal, IPv6 without brackets. */
  readonly target: { readonly host: string; readonly port: number }
  /**
   * What the client says first, some KiB at most. It leaves with the request, before tor knows whether the target answers: one
   * round trip of the circuit less, but when the dial fails it may have been delivered. So only what may be sent twice.
   */
  readonly earlyData?: Uint8Array
}

/**
 * Opens a stream to `target` and resolves with its socket, which has no layer of ours on it, once the proxy says that the target
 * answers. Bytes that came right behind the reply are the first ones to be read. Rejects with one of the errors of `errors.ts`,
 * with `RangeError` for a request that cannot be sent, or with the signal's reason, leaving no socket behind.
 *
 * The caller owns the socket. It carries a listener for `error`, so that one that nobody listens for does not end the process.
 *
 * Nobody gets the socket earlier, to write more before the reply: a proxy that refuses hangs up at once, and a write that
 * then fails makes Node forget the bytes that have arrived, which say why. One write with the request cannot meet that.
 */
export async function dialThroughSocks(dial: SocksDial, signal: AbortSignal): Promise<Socket> {
  const { socket } = await converse(dial, { command: 'connect', ...dial.target }, signal)
  return socket
}

/**
 * Greets the proxy and authenticates, as a dial would, and asks for nothing: whoever is behind it answers, or this rejects as
 * `dialThroughSocks` does. A proxy that hangs takes the connection all the same, so only an answer proves anything.
 */
export async function greetSocks(proxy: SocksProxy, auth: SocksAuth | undefined, signal: AbortSignal): Promise<void> {
  const negotiation = negotiate(auth)
  signal.throwIfAborted()
  const socket = open(proxy)
  await perform(negotiation, socket, signal)
  socket.destroy()
}

/** The same over a stream that leads to the proxy already. It is destroyed in any case. */
export async function greetSocksOver(stream: Duplex, auth: SocksAuth | undefined, signal: AbortSignal): Promise<void> {
  stream.on('error', () => {})
  try {
    signal.throwIfAborted()
    await perform(negotiate(auth), stream, signal)
  } finally {
    stream.destroy()
  }
}

export interface SocksResolve {
  readonly proxy: SocksProxy
  readonly auth?: SocksAuth
  /** A name to find the address of, or an IP literal to find the name of. */
  readonly host: string
  readonly command: 'resolve' | 'resolvePtr'
}

/** Asks an exit for an address or, with `resolvePtr`, for a name (Tor's extension). Rejects as `dialThroughSocks` does. */
export async function resolveThroughSocks(query: SocksResolve, signal: AbortSignal): Promise<string> {
  const { socket, address } = await converse(query, { command: query.command, host: query.host, port: 0 }, signal)
  socket.destroy()
  return address
}

async function converse(
  { proxy, auth, earlyData }: Pick<SocksDial, 'proxy' | 'auth' | 'earlyData'>,
  command: SocksCommand,
  signal: AbortSignal,
): Promise<{ socket: Socket; address: string }> {
  const handshake = ask(auth, command, earlyData)
  signal.throwIfAborted()
  const socket = open(proxy)
  const address = await perform(handshake, socket, signal)
  if (signal.aborted) {
    socket.destroy()
    throw signal.reason
  }
  return { socket, address }
}

function open(proxy: SocksProxy): Socket {
  const socket = 'path' in proxy ? connect(proxy.path) : connect(addressOf(proxy))
  socket.on('error', () => {})
  return socket
}

function addressOf({ host, port, from }: Exclude<SocksProxy, { path: string }>) {
  return { host, port, noDelay: true, ...(from !== undefined && { localAddress: from }) }
}

/**
 * Does what the handshake asks for, as far as what has come allows, each time that more has come. What is left over stays in the
 * socket's own buffer, where its next reader finds it. Destroys the socket when it fails. `signal` has not aborted yet.
 */
function perform<T>(handshake: Handshake<T>, socket: Duplex, signal: AbortSignal): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  let next = handshake.next()
  const goOn = () => {
    try {
      while (!next.done) {
        const step = next.value
        switch (step.type) {
          case 'write':
            if (socket.readableLength > 0) throw new SocksProtocolError('The SOCKS proxy spoke before it was asked')
            socket.write(step.bytes)
            next = handshake.next()
            break
          case 'read': {
            const bytes = take(socket, step.count)
            if (bytes === undefined) return
            next = handshake.next(bytes)
            break
          }
        }
      }
      stop()
      resolve(next.value)
    } catch (error) {
      fail(error)
    }
  }
  const fail = (error: unknown) => {
    stop()
    socket.destroy()
    reject(error)
  }
  const stop = () => {
    aborted[Symbol.dispose]()
    socket.off('readable', goOn).off('end', goOn).off('close', goOn)
  }
  const aborted = onAbort(signal, fail)
  socket.on('readable', goOn).on('end', goOn).on('close', goOn)
  goOn()
  return promise
}

/** Exactly `count` bytes; undefined while there may still be as many. */
function take(socket: Duplex, count: number): Buffer | undefined {
  const bytes: Buffer | null = socket.read(count)
  if (bytes?.length === count) return bytes
  if (bytes !== null || socket.readableEnded || socket.destroyed) throw closedEarly(socket)
  return undefined
}

function closedEarly(socket: Duplex & { readonly bytesRead?: number }): Error {
  const options = socket.errored ? { cause: socket.errored } : {}
  const why = socket.errored ? `: ${socket.errored.message}` : ''
  return (socket.bytesRead ?? 0) === 0
    ? new SocksUnreachableError(`Cannot reach the SOCKS proxy${why || ': it closed the connection unasked'}`, options)
    : new SocksProtocolError(`The SOCKS proxy closed the connection before its answer was complete${why}`, options)
}

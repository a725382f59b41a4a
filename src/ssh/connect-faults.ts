import { printable } from '../lib/printable.ts'
import { type SshDestination, showHostPort } from './destination.ts'
import type { DialProgress } from './dial.ts'
import type { Reason } from './errors.ts'
import { KEY_TYPE } from './keys.ts'

/** What ssh2 adds to an error: where in the protocol it came up. */
type FailedConnect = Error & { readonly level?: string; readonly code?: string | number }

/** SSH_DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE, RFC 4253. */
const NO_MORE_AUTH_METHODS = 14

/** Why a connection could not be made, from what ssh2 and the socket say; `error` is undefined when it was just closed. */
export function reasonOfFailedConnect(
  error: FailedConnect | undefined,
  { host, port, user }: SshDestination,
  { isTcpUp, isAuthenticating, refusedHostKey }: DialProgress,
): Reason {
  const cause = error
  if (refusedHostKey !== undefined)
    return {
      fault: 'untrusted',
      why: `its host key is ${refusedHostKey}, which is not the pinned one. Nothing was sent to it. Either the box was set up anew or something else answers in its place; if it is yours, install it again so that the new key is pinned`,
    }
  if (/no matching host key format/i.test(error?.message ?? ''))
    return {
      fault: 'untrusted',
      why: `it has no ${KEY_TYPE} host key, the one kind that is pinned. Nothing was sent to it. Right would be one in /etc/dropbear/dropbear_ed25519_host_key (dropbearkey -t ed25519 -f makes it), and dropbear restarted`,
      cause,
    }
  if (error?.level === 'client-authentication' || error?.code === NO_MORE_AUTH_METHODS)
    return {
      fault: 'key-refused',
      why: `it does not accept our key for ${user}. Right would be our public key as a line of its /etc/dropbear/authorized_keys (mode 0600, owned by root)`,
      cause,
    }
  if (!isTcpUp) return { fault: 'unreachable', why: whyNoTcp(error, host, port), cause }
  const closed = error === undefined || error.level === 'client-socket' || /^Connection lost/i.test(error.message)
  if (closed)
    return {
      fault: 'unreachable',
      why: isAuthenticating
        ? 'it closed the connection during authentication'
        : 'it closed the connection before the SSH handshake was done. dropbear does so while it stops, and when it has too many connections',
      cause,
    }
  return {
    fault: 'unreachable',
    why: `the SSH handshake failed: ${printable(error.message, 200)}. Right would be dropbear or OpenSSH as OpenWrt ships them`,
    cause,
  }
}

function whyNoTcp(error: FailedConnect | undefined, host: string, port: number): string {
  switch (error?.code) {
    case 'ECONNREFUSED':
      return `nothing listens at ${showHostPort(host, port)}. Right would be a running dropbear (on the box: /etc/init.d/dropbear start)`
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `there is no way to ${host} (${error.code}): the box is off or its link is down`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the name "${host}" has no address (${error.code}). Right would be the box's IP address, or a name that resolves`
    case 'ETIMEDOUT':
      return `nothing answered (${error.code}): the box is off, its link is down, or a firewall drops the packets`
    default:
      return error === undefined ? 'the connection was closed' : printable(error.message, 200)
  }
}

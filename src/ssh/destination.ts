import { isIP, isIPv6 } from 'node:net'
import { printable } from '../lib/printable.ts'
import { SshError } from './errors.ts'

export interface SshDestination {
  readonly user: string
  /** A name or an IP literal, IPv6 without brackets. */
  readonly host: string
  readonly port: number
}

const DEFAULT_USER = 'root'
const DEFAULT_PORT = 22

/**
 * Reads `host`, `user@host`, `user@host:port`, with an IPv6 address in brackets; root and 22 when left out. Throws `SshError`
 * `invalid` with what is wrong and what would be right. No part of what it returns can be taken for an option or for shell.
 */
export function parseDestination(text: string): SshDestination {
  const wrong = (why: string) =>
    invalid(`use "${printable(text)}" as a box`, `${why}. Right would be root@192.0.2.11:22`)
  requirePlain(text, wrong)
  if (/^[a-z]+:\/\//i.test(text)) throw wrong('it is a URL')
  const at = text.lastIndexOf('@')
  const user = at === -1 ? DEFAULT_USER : checkUser(text.slice(0, at), wrong)
  const [hostText, portText] = splitPort(text.slice(at + 1), wrong)
  return { user, host: checkHost(hostText, wrong), port: checkPort(portText, wrong) }
}

/** Reads the name or address of a box alone. Throws as `parseDestination` does; IPv6 loses its brackets. */
export function parseSshHost(text: string): string {
  const wrong = (why: string) =>
    invalid(`use "${printable(text)}" as the host of a box`, `${why}. Right would be 192.0.2.11 or box.lan`)
  requirePlain(text, wrong)
  return checkHost(text, wrong)
}

/** Checks what was read elsewhere, such as from a file, by the same rules. */
export function checkDestination({ user, host, port }: SshDestination): SshDestination {
  const wrong = (why: string) =>
    invalid(`use user "${printable(user)}" at "${printable(host)}", port ${port}, as a box`, why)
  return { user: checkUser(user, wrong), host: parseSshHost(host), port: checkPort(String(port), wrong) }
}

/** `root@192.0.2.11:22`, for messages. */
export function showDestination({ user, host, port }: SshDestination): string {
  return `${user}@${showHostPort(host, port)}`
}

export function showHostPort(host: string, port: number): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`
}

type Wrong = (why: string) => SshError

function invalid(attempt: string, why: string): SshError {
  return new SshError('invalid', `Cannot ${attempt}: ${why}`)
}

function requirePlain(text: string, wrong: Wrong): void {
  if (text === '') throw wrong('it is empty')
  if (/[^\x20-\x7e]/.test(text))
    throw wrong('it holds characters that are no printable ASCII (an international name is written in its xn-- form)')
  if (/\s/.test(text)) throw wrong('it holds a blank')
}

function checkUser(user: string, wrong: Wrong): string {
  if (user === '') throw wrong('no user stands before the "@"')
  if (user.startsWith('-')) throw wrong('a user name does not begin with "-"')
  if (user.includes(':')) throw wrong('it holds a password, but a box is reached by key alone')
  if (!/^[a-z_][a-z0-9_.-]{0,31}$/i.test(user))
    throw wrong('a user name has letters, digits, "_", "-" and "." only, at most 32 of them')
  return user
}

function splitPort(text: string, wrong: Wrong): [host: string, port: string] {
  if (text.startsWith('[')) {
    const [, host, , port] = /^(\[[^\]]*\])(:(.*))?$/.exec(text) ?? []
    if (host === undefined) throw wrong('an IPv6 address in brackets is followed by ":" and a port, or by nothing')
    return [host, port ?? String(DEFAULT_PORT)]
  }
  const [host = '', port, ...more] = text.split(':')
  if (more.length > 0)
    throw wrong(
      isIPv6(text) ? 'an IPv6 address stands in brackets, as in root@[2001:db8::1]:22' : 'it holds several ":"',
    )
  return [host, port ?? String(DEFAULT_PORT)]
}

function checkHost(text: string, wrong: Wrong): string {
  if (text === '') throw wrong('the host is missing')
  if (text.startsWith('-')) throw wrong('a host does not begin with "-"')
  if (text.startsWith('[') || text.includes(':')) {
    const address = text.replace(/^\[(.*)\]$/, '$1')
    // A zone may hold anything by Node's rules.
    if (isIPv6(address) && /^[0-9a-f:.]+(%[a-z0-9_.-]+)?$/i.test(address)) return address
    throw wrong(`"${printable(text)}" is no IPv6 address`)
  }
  if (/^[0-9.]+$/.test(text)) {
    if (isIP(text) === 4) return text
    throw wrong(`"${printable(text)}" is no IPv4 address`)
  }
  const name = text.replace(/\.$/, '')
  if (name.length > 253) throw wrong('a host name has at most 253 characters')
  for (const label of name.split('.')) {
    if (label === '') throw wrong('a host name has no empty part between two dots')
    if (label.length > 63) throw wrong('a part of a host name has at most 63 characters')
    if (!/^[a-z0-9_-]+$/i.test(label)) throw wrong('a host name has letters, digits, "-", "_" and dots only')
    if (label.startsWith('-') || label.endsWith('-')) throw wrong('no part of a host name begins or ends with "-"')
  }
  if (/\.onion$/i.test(name)) throw wrong('a box is reached directly, and an onion address only through Tor')
  return text
}

function checkPort(text: string, wrong: Wrong): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (port >= 1 && port <= 65_535) return port
  throw wrong(`"${printable(text)}" is no port: a port is a whole number from 1 to 65535`)
}

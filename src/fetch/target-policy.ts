import { isIP } from 'node:net'
import { CbtorError } from '../domain/errors.ts'
import type { ProblemCode } from '../domain/problems.ts'
import { isOnionHost, type Target } from '../domain/worker.ts'
import { type AddressSet, addressSet } from '../lib/address-set.ts'
import { type OnionAddressFault, parseOnionAddress } from '../lib/onion-address.ts'
import { printable } from '../lib/printable.ts'
import { createTargetRules, type TargetRuleSet, type WrittenTargetRules } from '../lib/target-rules.ts'
import { hostNameFault, isLocalName } from './host-name.ts'
import { RESERVED_ADDRESSES } from './reserved-addresses.ts'

/** A URL that may be fetched, and where it leads. */
export interface CheckedUrl {
  /** Normalised: host in lower case and without a trailing dot. */
  readonly url: URL
  readonly target: Target
  readonly isOnion: boolean
}

/** Decides what may be reached. Every fault is a CbtorError of the client's; nothing is resolved or dialled. */
export interface TargetPolicy {
  /** A URL as the caller wrote it. */
  checkUrl(url: string): CheckedUrl
  /** A host and port as a proxy's client names them: a name, an IPv4 address, or an IPv6 address without brackets. */
  checkTarget(host: string, port: number): Target
  /** A host that is to be looked up, whatever port it is asked for later; normalised. */
  checkName(host: string): string
  /** The same under further rules, of the configuration or of a key, which can only take away. */
  narrowedBy(rules: WrittenTargetRules | undefined): TargetPolicy
}

export interface TargetPolicyOptions {
  /** Reserved addresses that may be reached all the same: IP addresses and subnets. */
  readonly allowReserved?: readonly string[]
  /** Denied ports that may be reached all the same. */
  readonly allowPorts?: readonly number[]
}

const MAX_URL_BYTES = 8 * 1024
/** Control characters, blanks and line ends. The URL parser drops some and encodes others; a caller never means them. */
const BLANK_OR_CONTROL = /[\p{Cc}\p{Z}]/u
const SCHEME = /^([a-z][a-z0-9+.-]*):/i
/** The parser takes `http:x` and `http:///x` for the host x; here the slashes must be written and a host must follow. */
const AUTHORITY = /^https?:\/\/([^/?#]+)/i
const PORT = /:([^:\]]*)$/

/** SSH, Telnet, SMTP, DNS, Windows services and mail submission: never HTTP, and what abuse goes for. */
const DENIED_PORTS = new Set([22, 23, 25, 53, 135, 136, 137, 138, 139, 445, 465, 587])

const ONION_FAULTS: Readonly<Record<OnionAddressFault, string>> = {
  'not-onion': 'it does not end with .onion',
  'empty-label': 'it has a dot too many',
  'version-2': 'it is of version 2, which Tor does not serve any more',
  length: 'it has not 56 characters before .onion',
  alphabet: 'it has other characters than a-z and 2-7',
  version: 'it is of a version that Tor does not know',
  checksum: 'its checksum is wrong, so it is mistyped or made up',
}

const PORT_FAULT = 'the port is not a number from 1 to 65535'

/** Throws a RangeError that names an entry that cannot be read. */
export function createTargetPolicy({ allowReserved = [], allowPorts = [] }: TargetPolicyOptions = {}): TargetPolicy {
  return policyOf({ addresses: addressSet(allowReserved), ports: new Set(allowPorts), rules: [] })
}

interface Reachable {
  /** Of those that are reserved. */
  readonly addresses: AddressSet
  /** Of those that are denied. */
  readonly ports: ReadonlySet<number>
  /** All of them must let it through. */
  readonly rules: readonly TargetRuleSet[]
}

function policyOf(reachable: Reachable): TargetPolicy {
  const narrowed = new WeakMap<WrittenTargetRules, TargetPolicy>()

  function checkUrl(raw: string): CheckedUrl {
    const url = parse(raw)
    const host = hostOf(url)
    checkHost(host)
    const port = portOf(url)
    checkPort(port)
    return { url, target: { host, port }, isOnion: isOnionHost(host) }
  }

  function checkHost(host: string): void {
    checkKind(host)
    if (!reachable.rules.every((each) => each.mayReachHost(host))) {
      throw refusal('target_forbidden', 'the rules for targets do not let it through', host)
    }
  }

  function checkKind(host: string): void {
    if (isIP(host) !== 0) {
      if (RESERVED_ADDRESSES.has(host) && !reachable.addresses.has(host)) {
        throw refusal('target_forbidden', 'it is not an address on the public internet', host)
      }
      return
    }
    const fault = hostNameFault(host)
    if (fault !== undefined) throw refusal('host_invalid', `the host name is not valid: ${fault}`, host)
    if (isLocalName(host)) throw refusal('target_forbidden', 'it is a name of a local network', host)
    if (!isOnionHost(host)) return
    const onion = parseOnionAddress(host)
    if (!onion.ok) {
      throw refusal('onion_address_invalid', `the onion address is not valid: ${ONION_FAULTS[onion.fault]}`, host)
    }
  }

  function checkPort(port: number): void {
    if (DENIED_PORTS.has(port) && !reachable.ports.has(port)) {
      throw refusal('port_not_allowed', 'its port is not one of the web', String(port))
    }
    if (!reachable.rules.every((each) => each.mayReachPort(port))) {
      throw refusal('port_not_allowed', 'the rules for targets do not let its port through', String(port))
    }
  }

  const policy: TargetPolicy = {
    checkUrl,
    checkTarget(host, port) {
      if (!Number.isInteger(port)) throw refusal('port_invalid', PORT_FAULT, String(port))
      return checkUrl(`http://${inUrl(host)}:${port}`).target
    },
    checkName(name) {
      const host = hostOf(parse(`http://${inUrl(name)}`))
      checkHost(host)
      return host
    },
    narrowedBy(rules) {
      if (rules === undefined || isEmpty(rules)) return policy
      const known = narrowed.get(rules)
      if (known !== undefined) return known
      const narrower = policyOf({ ...reachable, rules: [...reachable.rules, createTargetRules(rules)] })
      narrowed.set(rules, narrower)
      return narrower
    },
  }
  return policy
}

function isEmpty({ allow = [], deny = [] }: WrittenTargetRules): boolean {
  return allow.length === 0 && deny.length === 0
}

/** What would end the host inside a URL must not pass for the host's end. */
function inUrl(host: string): string {
  if (/[/?#\\@]/.test(host)) throw refusal('host_invalid', 'the host name is not valid', host)
  return isIP(host) === 6 ? `[${host}]` : host
}

/** What the URL parser would repair in silence is refused here, so that no other parser can read it differently. */
function checkSyntax(raw: string): void {
  if (Buffer.byteLength(raw) > MAX_URL_BYTES) {
    throw refusal('url_too_long', `the URL is longer than ${MAX_URL_BYTES} bytes`, raw)
  }
  if (!raw.isWellFormed()) throw refusal('url_invalid', 'the URL has half of a surrogate pair', raw)
  if (BLANK_OR_CONTROL.test(raw)) {
    throw refusal('url_control_character', 'the URL has a blank or a control character', raw)
  }
  const [, scheme] = SCHEME.exec(raw) ?? []
  if (scheme === undefined) throw refusal('url_invalid', 'the URL does not begin with http:// or https://', raw)
  if (!/^https?$/i.test(scheme)) {
    throw refusal('scheme_not_allowed', 'only http and https URLs are fetched', scheme)
  }
  const [, authority] = AUTHORITY.exec(raw) ?? []
  if (authority === undefined || authority.includes('\\')) {
    throw refusal('url_invalid', 'the URL has no host right behind the scheme', raw)
  }
  if (authority.includes('@')) {
    throw refusal('url_userinfo', 'the URL has a user name or a password before the host', raw)
  }
  const [, port] = PORT.exec(authority) ?? []
  if (port !== undefined && port !== '' && !(/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535)) {
    throw refusal('port_invalid', PORT_FAULT, port)
  }
}

/** The parsed URL without its host's trailing dot: Tor sends a dotted onion name to an exit's resolver. */
function parse(raw: string): URL {
  checkSyntax(raw)
  const url = URL.parse(raw)
  if (url === null) throw refusal('host_invalid', 'the host name is not valid', raw)
  if (url.hostname.endsWith('.')) url.hostname = url.hostname.slice(0, -1)
  return url
}

function hostOf(url: URL): string {
  return url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
}

function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port)
  return url.protocol === 'https:' ? 443 : 80
}

/** The value is shown short and without a password. */
function refusal(code: ProblemCode, reason: string, value: string): CbtorError {
  const shown = printable(value.replace(/^([^/]*\/\/)?[^/?#]*@/, '$1***@'))
  return new CbtorError(code, `Cannot reach the target: ${reason}: "${shown}"`)
}

/** A policy that can be told another one, which then holds for whatever is asked from that moment on. */
export interface LiveTargetPolicy extends TargetPolicy {
  become(policy: TargetPolicy): void
}

export function liveTargetPolicy(first: TargetPolicy): LiveTargetPolicy {
  let now = first
  return {
    checkUrl: (url) => now.checkUrl(url),
    checkTarget: (host, port) => now.checkTarget(host, port),
    checkName: (host) => now.checkName(host),
    narrowedBy: (rules) => now.narrowedBy(rules),
    become(policy) {
      now = policy
    },
  }
}

import { deadline } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { type ListenAddress, showListenAddress, staysOnMachine } from '../listen/address.ts'
import { reachableAt } from './addresses.ts'
import { type Finding, messageOf, ok, warning, wrong } from './finding.ts'
import { knock } from './knock.ts'

export interface ProxyPort {
  /** In the configuration: `proxy.http`. */
  readonly field: string
  readonly speaks: 'http' | 'socks'
  readonly address: ListenAddress
  /** Whether it speaks it in TLS. */
  readonly isSecured: boolean
}

const ANSWERED_WITHIN_MS = 5_000

/** A request that no proxy takes, and one that only a proxy without a password takes; its name belongs to nobody (RFC 6761). */
const HTTP = {
  open: 'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
  closed: 'GET http://doctor.invalid/ HTTP/1.1\r\nHost: x\r\n\r\n',
}
/** SOCKS5, with no other method to offer than none. */
const SOCKS = '\x05\x01\x00'

/** Whether a proxy port of the running service answers, and lets in none without a password where one is set. Builds no circuit. */
export async function checkProxyPort(
  port: ProxyPort,
  { requiresPassword, clock }: { readonly requiresPassword: boolean; readonly clock: Clock },
  signal: AbortSignal,
): Promise<Finding> {
  const { field, speaks } = port
  const late = () => new Error(`it did not answer within ${ANSWERED_WITHIN_MS} ms`)
  using limit = deadline(clock, ANSWERED_WITHIN_MS, signal, late)
  let answer: string
  try {
    answer = await knock(
      reachableAt(port.address),
      { greeting: speaks === 'socks' ? SOCKS : HTTP[requiresPassword ? 'closed' : 'open'], isSecured: port.isSecured },
      limit.signal,
    )
  } catch (error) {
    signal.throwIfAborted()
    return wrong(
      field,
      `${showListenAddress(port.address)} does not answer: ${messageOf(error)}`,
      'Restart the service',
    )
  }
  return judgeProxyPort(port, answer, requiresPassword)
}

/** `answer`: what it said to somebody without a password. */
export function judgeProxyPort(port: ProxyPort, answer: string, requiresPassword: boolean): Finding {
  const { field, speaks, address } = port
  const at = showListenAddress(address)
  const isProxy = speaks === 'socks' ? answer.startsWith('\x05') : /^HTTP\/1\.1 \d/.test(answer)
  if (!isProxy) return wrong(field, `something else than our proxy answers at ${at}`, 'See who listens there: ss -ltnp')
  const hasAsked = speaks === 'socks' ? answer.startsWith('\x05\xff') : answer.startsWith('HTTP/1.1 407 ')
  if (requiresPassword)
    return hasAsked
      ? ok(field, `${at} answers, and asks for a key`)
      : wrong(field, `${at} asks for no key, although proxy.auth is on`, 'Restart the service, which has not read it')
  if (!staysOnMachine(address))
    return wrong(
      field,
      `others can reach ${at}, and it asks for no key`,
      `Set auth: on, or let ${field} listen on 127.0.0.1`,
    )
  if (hasAsked) return warning(field, `${at} asks for a key, although proxy.auth is off`, 'Restart the service')
  return ok(field, `${at} answers; it is for this machine alone and asks for no key`)
}

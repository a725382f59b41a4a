import { type Endpoint, parseEndpoint } from './endpoint.ts'
import { parseNumber, splitFields } from './text.ts'

/** A relay as the consensus lists it, from `GETINFO ns/id/<fingerprint>` or `ns/all` (dir-spec 3.4.1). */
export interface RouterStatus {
  readonly nickname: string
  /** 40 upper-case hexadecimal digits. */
  readonly fingerprint: string
  /** IPv4. */
  readonly address: string
  readonly orPort: number
  /** Other addresses, IPv6 as a rule. */
  readonly otherAddresses: readonly Endpoint[]
  readonly flags: readonly string[]
  /** Kilobytes a second, as the authorities measured. */
  readonly bandwidth: number | undefined
  /** The ports that its exit policy accepts or rejects, `accept 80,443`; undefined where Tor has only the short form. */
  readonly exitPorts: string | undefined
}

/** One status for each `r` line that is complete; what is not understood is left out. */
export function parseRouterStatuses(text: string): readonly RouterStatus[] {
  return text
    .split(/^(?=r )/m)
    .map(parseRouterStatus)
    .filter((status) => status !== undefined)
}

function parseRouterStatus(text: string): RouterStatus | undefined {
  const lines = text.split('\n')
  const rest = (keyword: string) => lines.find((line) => line.startsWith(`${keyword} `))?.slice(keyword.length + 1)
  const relay = parseRouterLine(rest('r') ?? '')
  return (
    relay && {
      ...relay,
      otherAddresses: lines.filter((line) => line.startsWith('a ')).map((line) => parseEndpoint(line.slice(2))),
      flags: splitFields(rest('s') ?? '', Infinity).words,
      bandwidth: parseNumber(splitFields(rest('w') ?? '', 0).values.get('Bandwidth')),
      exitPorts: rest('p'),
    }
  )
}

/** `nickname identity [digest] date time address orport dirport`: the microdescriptor flavour has no digest. */
function parseRouterLine(text: string) {
  const [nickname, identity, ...others] = text.split(' ')
  const date = others.findIndex((part) => /^\d{4}-\d\d-\d\d$/.test(part))
  const [address, port] = date === -1 ? [] : others.slice(date + 2)
  const orPort = parseNumber(port)
  const fingerprint = Buffer.from(identity ?? '', 'base64')
  if (nickname === undefined || address === undefined || orPort === undefined || fingerprint.length !== 20) {
    return undefined
  }
  return { nickname, fingerprint: fingerprint.toString('hex').toUpperCase(), address, orPort }
}

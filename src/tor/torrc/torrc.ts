import { isAbsolute } from 'node:path'
import { closesPolicy, extraLineFaults, parseExtraLines } from './extra-lines.ts'
import { hasControlCharacter, quote } from './quote.ts'
import { formatSocket, formatSocksPort, type SocksPort, socketPathFaults, socksPortFaults } from './socks-port.ts'

/** The options of tor(1) that this program sets, by their names there. Paths are absolute. */
export interface TorrcOptions {
  readonly dataDirectory: string
  /** None means that tor opens none. */
  readonly socksPorts: readonly SocksPort[]
  /** `accept 10.66.0.1`, `reject *`: in order, the first that fits decides. */
  readonly socksPolicy?: readonly string[]
  /** A unix socket in a directory that nobody else may enter. */
  readonly controlSocket?: string
  /** `CookieAuthentication 1` with the cookie in this file. */
  readonly cookieAuthFile?: string
  /** Tor ends itself within 15 seconds after this process has ended. */
  readonly owningControllerProcess?: number
  /** Off, a session keeps its exit: Conflux moves streams of one session to other circuits, and takes no early data. */
  readonly confluxEnabled: boolean
  /** True unless the whole network is on loopback addresses, as a private one may be. */
  readonly rejectInternalAddresses?: boolean
  /** In seconds. */
  readonly maxCircuitDirtiness?: number
  readonly clientOnionAuthDir?: string
  readonly geoIPFile?: string
  readonly geoIPv6File?: string
  /** Lines of the operator's, or of a private network (`DirAuthority ...`). Refused when they are not safe. */
  readonly extra?: readonly string[]
}

/** A torrc that will not be written. `faults` has a sentence for each thing that is wrong: all of them at once. */
export class TorrcError extends Error {
  override readonly name = 'TorrcError'
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(`Cannot write a torrc: ${faults.join('. ')}`)
    this.faults = faults
  }
}

/** The text of a torrc. What tor logs goes to its standard output. Throws `TorrcError`. */
export function torrc(options: TorrcOptions): string {
  const extra = parseExtraLines(options.extra ?? [])
  const named = (name: string) => extra.parsed.filter(({ option }) => option.toLowerCase() === name.toLowerCase())
  const policy = [...(options.socksPolicy ?? []), ...named('SocksPolicy').map(({ value }) => value)]
  const surroundings = {
    hasSocksPolicy: closesPolicy(policy),
    hasControlAuthentication: options.cookieAuthFile !== undefined || named('HashedControlPassword').length > 0,
  }
  const faults = [
    ...optionFaults(options, surroundings.hasSocksPolicy),
    ...extra.faults,
    ...extraLineFaults(extra.parsed, surroundings),
  ]
  if (faults.length > 0) throw new TorrcError(faults)

  const lines: (readonly [option: string, value: string | number | undefined])[] = [
    ['DataDirectory', options.dataDirectory],
    ...(options.socksPorts.length === 0 ? ['0'] : options.socksPorts.map(formatSocksPort)).map(
      (port) => ['SocksPort', port] as const,
    ),
    ...(options.socksPolicy ?? []).map((entry) => ['SocksPolicy', entry] as const),
    // Not `ControlSocket`, which reads a path with a space as a path and a flag.
    ['ControlPort', options.controlSocket && formatSocket(options.controlSocket)],
    ['CookieAuthentication', options.cookieAuthFile && 1],
    ['CookieAuthFile', options.cookieAuthFile],
    ['__OwningControllerProcess', options.owningControllerProcess],
    ['ConfluxEnabled', Number(options.confluxEnabled)],
    ['DormantCanceledByStartup', 1],
    ['SafeLogging', 1],
    ['ClientRejectInternalAddresses', Number(options.rejectInternalAddresses ?? true)],
    ['ClientDNSRejectInternalAddresses', Number(options.rejectInternalAddresses ?? true)],
    ['MaxCircuitDirtiness', options.maxCircuitDirtiness],
    ['ClientOnionAuthDir', options.clientOnionAuthDir],
    ['GeoIPFile', options.geoIPFile],
    ['GeoIPv6File', options.geoIPv6File],
    ['Log', 'notice stdout'],
    ...extra.parsed.map(({ option, value }) => [option, value] as const),
  ]
  return lines.flatMap(([option, value]) => (value === undefined ? [] : `${option} ${written(value)}\n`)).join('')
}

function written(value: string | number): string {
  return value === '' ? '' : quote(String(value))
}

function optionFaults(options: TorrcOptions, hasSocksPolicy: boolean): string[] {
  const faults: string[] = []
  const paths = [
    'dataDirectory',
    'controlSocket',
    'cookieAuthFile',
    'clientOnionAuthDir',
    'geoIPFile',
    'geoIPv6File',
  ] as const
  for (const name of paths) {
    const path = options[name]
    if (path === undefined) continue
    if (hasControlCharacter(path)) faults.push(`${name} has a control character`)
    else if (name === 'controlSocket') faults.push(...socketPathFaults(path).map((fault) => `${name} ${fault}`))
    else if (!isAbsolute(path)) faults.push(`${name} is not absolute: ${path}`)
  }
  for (const port of options.socksPorts) {
    const value = formatSocksPort(port)
    if (hasControlCharacter(value)) faults.push('socksPorts has a control character')
    else faults.push(...socksPortFaults(value, hasSocksPolicy).map((fault) => `socksPorts ${fault}`))
  }
  for (const entry of options.socksPolicy ?? [])
    if (!/^(?:accept|reject)6? [\w*.:/[\]]+$/.test(entry))
      faults.push(`socksPolicy has an entry that is none: ${entry}`)
  const { owningControllerProcess: pid, maxCircuitDirtiness: seconds } = options
  if (pid !== undefined && !(Number.isInteger(pid) && pid > 0))
    faults.push(`owningControllerProcess is no process: ${pid}`)
  if (seconds !== undefined && !(Number.isInteger(seconds) && seconds >= 10))
    faults.push(`maxCircuitDirtiness is not a whole number of seconds from 10 up: ${seconds}`)
  return faults
}

import { hasControlCharacter, unquote } from './quote.ts'
import { listenerFaults, socksPortFaults, splitPort } from './socks-port.ts'

/** What the other lines of the torrc make safe. */
export interface Surroundings {
  /** A `SocksPolicy` ends with "reject *". */
  readonly hasSocksPolicy: boolean
  /** The control port asks who it is: by cookie or by password. */
  readonly hasControlAuthentication: boolean
}

export interface ExtraLine {
  readonly option: string
  readonly value: string
}

/** Tells what is wrong with a value, in words that follow "it". */
type Rule = (value: string, surroundings: Surroundings) => readonly string[]

const OWNED: Rule = () => ['is set by this program']
const CONTROL_AUTHENTICATION = 'a control port gives whoever reaches it full power'

/** Options that may not be in a line of the operator's, or not with every value. Tor takes all of these without a word. */
const RULES: Readonly<Record<string, Rule>> = {
  DataDirectory: OWNED,
  ControlSocket: OWNED,
  CookieAuthentication: OWNED,
  CookieAuthFile: OWNED,
  __OwningControllerProcess: OWNED,
  __OwningControllerFD: OWNED,
  __DisableSignalHandlers: OWNED,
  ConfluxEnabled: OWNED,
  DormantCanceledByStartup: OWNED,
  ClientRejectInternalAddresses: OWNED,
  ClientDNSRejectInternalAddresses: OWNED,
  Log: OWNED,
  LogMessageDomains: OWNED,
  PidFile: OWNED,
  RunAsDaemon: OWNED,
  SafeLogging: forbid('1', 'names targets in the log'),
  UseEntryGuards: forbid('1', 'shows the client to a new relay all the time'),
  HiddenServiceSingleHopMode: forbid('0', 'is not anonymous'),
  HiddenServiceNonAnonymousMode: forbid('0', 'is not anonymous'),
  SocksPort: (value, { hasSocksPolicy }) => (value === '0' ? [] : socksPortFaults(value, hasSocksPolicy)),
  HTTPTunnelPort: (value, { hasSocksPolicy }) => (value === '0' ? [] : socksPortFaults(value, hasSocksPolicy)),
  TransPort: openListener,
  NATDPort: openListener,
  DNSPort: openListener,
  MetricsPort: openListener,
  ControlPort: controlPort,
  __SocksPort: () => ['is for controllers: write SocksPort'],
  __ControlPort: () => ['is for controllers: write ControlPort'],
  __HTTPTunnelPort: () => ['is for controllers: write HTTPTunnelPort'],
  __TransPort: () => ['is for controllers: write TransPort'],
  __NATDPort: () => ['is for controllers: write NATDPort'],
  __DNSPort: () => ['is for controllers: write DNSPort'],
  __MetricsPort: () => ['is for controllers: write MetricsPort'],
  __HashedControlSessionPassword: () => ['is for controllers: write HashedControlPassword'],
  EntryNodes: nodes,
  ExitNodes: nodes,
  ExcludeNodes: nodes,
  ExcludeExitNodes: nodes,
  MiddleNodes: nodes,
  HSLayer2Nodes: nodes,
  HSLayer3Nodes: nodes,
  ...isolationFlagsAsOptions(),
}

const NAMES = new Map(Object.keys(RULES).map((name) => [name.toLowerCase(), name]))

/**
 * Parses lines of the operator's (`DirAuthority ...`, `ExitNodes {de}`, ...). Blank lines and comments are left out.
 * `faults` has a sentence for each thing that is wrong.
 */
export function parseExtraLines(lines: readonly string[]): { parsed: ExtraLine[]; faults: string[] } {
  const parsed: ExtraLine[] = []
  const faults: string[] = []
  for (const line of lines) {
    if (/^\s*(?:#|$)/.test(line) && !/[\r\n\0]/.test(line)) continue
    const result = parseLine(line)
    if (typeof result === 'string') faults.push(`The line ${JSON.stringify(line)} ${result}`)
    else parsed.push(result)
  }
  return { parsed, faults }
}

function parseLine(written: string): ExtraLine | string {
  const line = written.replaceAll('\t', ' ')
  if (hasControlCharacter(line)) return 'has a line break or a control character'
  // "+Option" and "/Option" add to and undo what stands before, and "%include" brings lines that nobody checked.
  const [, option, rest = ''] = /^\s*([A-Za-z_][A-Za-z0-9_]*)(?:\s+(.*))?$/.exec(line) ?? []
  if (option === undefined) return 'does not begin with the name of an option'
  if (rest.trimEnd().endsWith('\\')) return 'would join the next line to itself'
  const value = unquote(rest)
  return value === undefined ? 'has a value that is not properly quoted' : { option, value }
}

/** What the rules have against the lines, a sentence each. */
export function extraLineFaults(lines: readonly ExtraLine[], surroundings: Surroundings): string[] {
  return lines.flatMap(({ option, value }) => {
    const wanted = option.toLowerCase()
    const name = NAMES.get(wanted)
    if (name !== undefined)
      return (RULES[name]?.(value, surroundings) ?? []).map((fault) => `${name} may not be "${value}": it ${fault}`)
    // Tor takes the beginning of a name for the name.
    const meant = [...NAMES].find(([full]) => full.startsWith(wanted))?.[1]
    return meant === undefined ? [] : [`${option} may not be abbreviated: write ${meant}`]
  })
}

/** Whether a `SocksPolicy` of these entries lets nobody in by default; tor's own default is to accept. */
export function closesPolicy(entries: readonly string[]): boolean {
  return /^\s*reject6?\s+\*(?::\*)?\s*$/i.test(entries.join(',').split(',').at(-1) ?? '')
}

function forbid(safe: string, harm: string): Rule {
  return (value) => (value === safe ? [] : [harm])
}

function openListener(value: string): string[] {
  return value === '0' ? [] : listenerFaults(splitPort(value).address, 'has no way to tell who may use it')
}

function controlPort(value: string, { hasControlAuthentication }: Surroundings): string[] {
  if (value === '0') return []
  const faults = listenerFaults(splitPort(value).address, CONTROL_AUTHENTICATION)
  return hasControlAuthentication ? faults : [...faults, 'asks for no cookie and no password']
}

/** A country stands in braces; bare, tor takes it for the nickname of a relay, and there is none. */
function nodes(value: string): string[] {
  return value
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => /^(?:[a-z]{2}|\?\?)$/i.test(entry))
    .map((entry) => `has the country ${entry} without braces: write {${entry.toLowerCase()}}`)
}

/** Many a recipe on the web has `IsolateDestAddr 1` as a line of its own; tor does not start with it. */
function isolationFlagsAsOptions(): Record<string, Rule> {
  const rule: Rule = () => ['is a flag of SocksPort, not an option: put it behind the port']
  const flags = ['IsolateClientAddr', 'IsolateSOCKSAuth', 'IsolateClientProtocol', 'IsolateDestPort', 'IsolateDestAddr']
  return Object.fromEntries([...flags, 'KeepAliveIsolateSOCKSAuth', 'ExtendedErrors'].map((flag) => [flag, rule]))
}

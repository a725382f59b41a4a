import { type Finding, ok, warning, wrong } from './finding.ts'

/** What Tor answers to GETCONF: the values of each option, none for one that is not set. */
export type TorSettings = ReadonlyMap<string, readonly string[]>

export interface SettingsOf {
  /** Whose Tor it is: ours has a torrc of ours. */
  readonly kind: 'local' | 'openwrt' | 'external'
  /** The worker's. */
  readonly id: string
  /** What the configuration says of `ClientRejectInternalAddresses`. */
  readonly rejectsInternalAddresses: boolean
}

interface Rule {
  readonly option: string
  /** The values that are right; one that Tor does not tell is the default, which is right unless `mustBeSet`. */
  readonly right: readonly string[]
  readonly mustBeSet?: true
  readonly harm: string
  /** Only a warning with a Tor that somebody else runs, or everywhere. */
  readonly mild?: 'external' | 'always'
}

const RULES: readonly Rule[] = [
  { option: 'SafeLogging', right: ['1'], harm: 'Tor writes targets into its log' },
  {
    option: 'ConfluxEnabled',
    right: ['0'],
    mustBeSet: true,
    harm: 'Tor may move a session to another exit, and sends no early data',
    mild: 'external',
  },
  { option: 'UseEntryGuards', right: ['1'], harm: 'Tor shows this client to a new relay all the time' },
  { option: 'HiddenServiceSingleHopMode', right: ['0'], harm: 'Tor is not anonymous' },
  { option: 'HiddenServiceNonAnonymousMode', right: ['0'], harm: 'Tor is not anonymous' },
  {
    option: 'ClientDNSRejectInternalAddresses',
    right: ['1'],
    harm: 'an exit can send a client to an address of a private network',
  },
  {
    option: 'ClientRejectInternalAddresses',
    right: ['1'],
    harm: 'Tor tries private addresses, which an exit may answer for',
  },
  { option: 'DisableNetwork', right: ['0'], harm: 'Tor does not use the network at all' },
  {
    option: 'StrictNodes',
    right: ['0'],
    harm: 'with ExitNodes that do not take a port Tor builds circuits without an end',
    mild: 'always',
  },
  {
    option: 'ExitNodes',
    right: [],
    harm: 'Tor builds circuit after circuit for a port that none of them takes; say country in the request instead',
    mild: 'always',
  },
]

const OF_PRIVATE_NETWORKS = ['ClientRejectInternalAddresses', 'ClientDNSRejectInternalAddresses']

/** The options to ask Tor for; of older versions some are not there. */
export const SETTINGS: readonly string[] = RULES.map(({ option }) => option)

export function judgeSettings(name: string, settings: TorSettings, whose: SettingsOf): readonly Finding[] {
  const found = RULES.flatMap((rule) => judge(name, rule, settings.get(rule.option) ?? [], whose))
  return found.length === 0 ? [ok(name, 'none is dangerous')] : found
}

function judge(name: string, rule: Rule, values: readonly string[], whose: SettingsOf): readonly Finding[] {
  const { option, right, harm, mild } = rule
  const isRight =
    values.length === 0 ? rule.mustBeSet !== true : values.every((value) => right.includes(value.toLowerCase()))
  if (isRight) return []
  const seen = `${option} is ${values.length === 0 ? 'not set' : values.join(', ')}: ${harm}`
  if (OF_PRIVATE_NETWORKS.includes(option) && !whose.rejectsInternalAddresses)
    return [
      warning(name, seen, 'Right on a private Tor network; elsewhere take tor.reject_internal_addresses: false away'),
    ]
  const isMild = mild === 'always' || mild === whose.kind
  return [isMild ? warning(name, seen, mending(rule, whose)) : wrong(name, seen, mending(rule, whose))]
}

function mending({ option, right }: Rule, { kind, id }: SettingsOf): string {
  switch (kind) {
    case 'local':
      return `Take ${option} out of the torrc lines of the configuration, and restart the service`
    case 'openwrt':
      return `Take ${option} out of /etc/tor/torrc of the box, and then: cbtor workers upgrade ${id}`
    case 'external':
      return `${right[0] === undefined ? `Take ${option} out of` : `Write "${option} ${right[0]}" into`} its torrc, and restart it`
  }
}

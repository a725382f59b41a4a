/** The torrc of every member of the private network. Pure. */
import { join } from 'node:path'
import { advertisedOrPort, DELAYED_OR_PORT, DIR_PORT, type NetworkPlan, OR_PORT, type PlannedProcess } from './plan.ts'

export interface AuthorityIdentity {
  readonly name: string
  readonly address: string
  /** SHA-1 of the relay identity key, 40 hex digits. */
  readonly fingerprint: string
  /** SHA-1 of the authority identity key, 40 hex digits. */
  readonly v3ident: string
}

export interface TorrcContext {
  readonly plan: NetworkPlan
  readonly authorities: readonly AuthorityIdentity[]
  /** The network's directory. Each process has the folder of its name in it. */
  readonly directory: string
}

/** A day must be a multiple of it. */
export const VOTING_INTERVAL_S = 300
/** For exchanging votes, and then signatures: the least that Tor allows. */
const VOTE_DELAY_S = 2
const DIST_DELAY_S = 2
/** Voting begins so long before the consensus becomes valid. */
export const VOTING_S = VOTE_DELAY_S + DIST_DELAY_S

export const GEOIP_FILE = 'geoip'
export const RESOLV_CONF = 'resolv.conf'
export const BANDWIDTH_FILE = 'bandwidths'

/**
 * What a client needs to use this network, except SocksPort, DataDirectory and ControlSocket, which are its own, and
 * ClientRejectInternalAddresses and ClientDNSRejectInternalAddresses: TestingTorNetwork turns them off, so a client of a
 * network in a namespace, whose addresses are public, turns them on again.
 */
export function clientTorrc({ plan, authorities, directory }: TorrcContext): string[] {
  return [
    ...memberTorrc({ plan, authorities, directory }),
    // A source address of 127.0.0.0/8 has no way off the machine.
    ...(plan.isolation === 'loopback' ? ['OutboundBindAddress 127.0.0.1'] : []),
  ]
}

/** What of a torrc changes while the network runs. */
export interface Settings {
  /** Of an authority: when the consensus after the next vote becomes valid, in seconds since the epoch. */
  readonly consensusAtS: number
  /** Of an exit: the ports that it refuses, against what the consensus says of it. */
  readonly refusedPorts: readonly number[]
}

export function daemonTorrc(process: PlannedProcess, context: TorrcContext, settings: Settings): string {
  const own = join(context.directory, process.name)
  const lines = [
    ...memberTorrc(context),
    `DataDirectory ${own}`,
    `ControlSocket ${controlSocketPath(context.directory, process.name)}`,
    'Log notice stdout',
    'SocksPort 0',
    'NumCPUs 1',
    `OutboundBindAddress ${process.address}`,
  ]
  switch (process.role) {
    case 'authority':
      lines.push(
        ...relayTorrc(process, context.plan),
        'ExitRelay 0',
        ...authorityTorrc(process, context.directory, settings.consensusAtS),
      )
      break
    case 'guard':
      lines.push(...relayTorrc(process, context.plan), 'ExitRelay 0')
      break
    case 'exit':
      lines.push(...relayTorrc(process, context.plan), ...exitTorrc(context, settings.refusedPorts))
      break
    case 'onion-service':
      lines.push(...onionTorrc(own, context.plan))
      break
  }
  return `${lines.join('\n')}\n`
}

export function controlSocketPath(directory: string, name: string): string {
  return join(directory, name, 'control')
}

/** What everybody shares. */
function memberTorrc({ authorities, plan, directory }: TorrcContext): string[] {
  return [
    'TestingTorNetwork 1',
    ...authorities.map(
      ({ name, address, fingerprint, v3ident }) =>
        `DirAuthority ${name} orport=${advertisedOrPort(plan)} v3ident=${v3ident} ${address}:${DIR_PORT} ${fingerprint}`,
    ),
    'PathsNeededToBuildCircuits 0.67',
    'VanguardsLiteEnabled 0',
    `GeoIPFile ${join(directory, GEOIP_FILE)}`,
  ]
}

function relayTorrc({ name, address }: PlannedProcess, plan: NetworkPlan): string[] {
  return [
    `Nickname ${name}`,
    `Address ${address}`,
    'AssumeReachable 1',
    'ContactInfo none@cbtor.test',
    ...(plan.latencyMs > 0
      ? [`ORPort ${address}:${OR_PORT} IPv4Only NoAdvertise`, `ORPort ${address}:${DELAYED_OR_PORT} IPv4Only NoListen`]
      : [`ORPort ${address}:${OR_PORT} IPv4Only`]),
  ]
}

/**
 * Authorities vote once, when we say so, and then every 5 minutes: seldom enough to be quiet, and to keep the time period
 * of onion services (24 votes) long. The first consensus must lie on the same grid as the later ones: the time period is
 * counted from the distance of two, and an onion service cannot be found while it and its client count differently.
 */
function authorityTorrc({ address }: PlannedProcess, directory: string, consensusAtS: number): string[] {
  return [
    'AuthoritativeDirectory 1',
    'V3AuthoritativeDirectory 1',
    `DirPort ${address}:${DIR_PORT} IPv4Only`,
    `TestingV3AuthVotingStartOffset ${consensusAtS % VOTING_INTERVAL_S}`,
    `TestingV3AuthInitialVotingInterval ${VOTING_INTERVAL_S}`,
    `TestingV3AuthInitialVoteDelay ${VOTE_DELAY_S}`,
    `TestingV3AuthInitialDistDelay ${DIST_DELAY_S}`,
    `V3AuthVotingInterval ${VOTING_INTERVAL_S}`,
    `V3AuthVoteDelay ${VOTE_DELAY_S}`,
    `V3AuthDistDelay ${DIST_DELAY_S}`,
    `V3BandwidthsFile ${join(directory, BANDWIDTH_FILE)}`,
    'TestingMinExitFlagThreshold 0',
    'TestingDirAuthVoteHSDir *',
    'TestingDirAuthVoteGuard *',
  ]
}

function exitTorrc({ plan, directory }: TorrcContext, refusedPorts: readonly number[]): string[] {
  return [
    'ExitRelay 1',
    // In the plain form only: a policy whose mask is not /0 is summarised as "reject all" in the consensus.
    `ExitPolicyRejectPrivate ${plan.isolation === 'namespace' ? 1 : 0}`,
    ...refusedPorts.map((port) => `ExitPolicy reject *:${port}`),
    'ExitPolicy accept *:*',
    // An exit that says one thing and does another: its old descriptor stays in the consensus.
    ...(refusedPorts.length > 0 ? ['PublishServerDescriptor 0'] : []),
    `ServerDNSResolvConfFile ${join(directory, RESOLV_CONF)}`,
    'ServerDNSDetectHijacking 0',
    'ServerDNSTestAddresses',
    'ServerDNSAllowBrokenConfig 1',
  ]
}

function onionTorrc(own: string, plan: NetworkPlan): string[] {
  return [`HiddenServiceDir ${join(own, 'service')}`, `HiddenServicePort 80 ${plan.addresses.www}:${plan.ports.http}`]
}

import type { Observed } from './observed.ts'
import { foreignThings, ownershipOf } from './ownership.ts'
import type { TunnelSpec } from './spec.ts'
import { STALE_AFTER_MS, type TunnelStatus } from './tunnels.ts'
import { isConfigured } from './wireguard-config.ts'

/** `strayWay`: the interface that packets of the tunnel would take because a rule of somebody else comes first. */
export function statusOf(
  spec: TunnelSpec,
  observed: Observed,
  strayWay: string | undefined,
  now: number,
): TunnelStatus {
  const { link, wireguard, defaultRoute, killSwitch, rule, lock } = observed
  const peer = wireguard?.peers.find(({ publicKey }) => publicKey === spec.boxPublicKey)
  const handshakeAgeMs = peer?.latestHandshake ? Math.max(0, now - peer.latestHandshake * 1000) : undefined
  return {
    isUp:
      link?.isUp === true &&
      wireguard !== undefined &&
      hasAddresses(spec, observed) &&
      rule &&
      defaultRoute &&
      !strayWay,
    ...(handshakeAgeMs !== undefined && { handshakeAgeMs }),
    rxBytes: peer?.rxBytes ?? 0,
    txBytes: peer?.txBytes ?? 0,
    killSwitch,
    defaultRoute,
    rule,
    lock,
    problems: problemsOf(spec, observed, strayWay, handshakeAgeMs),
  }
}

function problemsOf(
  spec: TunnelSpec,
  observed: Observed,
  strayWay: string | undefined,
  handshakeAgeMs: number | undefined,
): readonly string[] {
  const { interfaceName: name, id } = spec
  const { link, wireguard } = observed
  const ownership = ownershipOf(spec, observed)
  const up = `mend it with: cbtor tunnel up ${id}`
  const foreign = foreignThings(spec, observed).map((thing) => capitalised(thing))
  if (ownership === 'foreign') return foreign
  if (link === undefined) return [...foreign, `There is no interface ${name}; bring it up with: cbtor tunnel up ${id}`]
  const byOther = ownership === 'handed-over' ? `mend it with the tool that made ${name}` : up
  const missing = (is: boolean, what: string, mend = up) => (is ? [] : [`${what}; ${mend}`])
  return [
    ...foreign,
    ...missing(wireguard !== undefined, `WireGuard does not answer on ${name}`, byOther),
    ...missing(
      !wireguard || isConfigured(spec, wireguard),
      `${name} has another configuration than the box file`,
      byOther,
    ),
    ...missing(link.isUp, `${name} is down, so packets to box ${id} are refused`, byOther),
    ...missing(hasAddresses(spec, observed), `${name} lacks addresses out of ${spec.subnet}`),
    ...missing(observed.rule, `The rule that sends ${spec.subnet} to table ${spec.table} is missing`),
    ...missing(observed.defaultRoute, `The route into ${name} is missing, so packets to box ${id} are refused`),
    ...missing(observed.killSwitch, `The kill switch, the unreachable route of table ${spec.table}, is missing`),
    ...missing(observed.lock, `The egress lock, the nftables table inet ${spec.lockTable}, is missing or incomplete`),
    ...(strayWay === undefined
      ? []
      : [
          `A rule of another program comes before ours and leads ${spec.subnet} out by ${strayWay}, where the lock refuses it; find it with: ip rule show`,
        ]),
    ...(wireguard && link.isUp ? handshakeProblem(id, handshakeAgeMs) : []),
  ]
}

function handshakeProblem(id: string, ageMs: number | undefined): readonly string[] {
  if (ageMs !== undefined && ageMs <= STALE_AFTER_MS) return []
  const since = ageMs === undefined ? 'has not answered yet' : `has not answered for ${Math.round(ageMs / 1000)} s`
  return [`Box ${id} ${since}; try: cbtor tunnel reconnect ${id}, and then: cbtor workers check`]
}

function hasAddresses({ hostAddress, identityRanges }: TunnelSpec, observed: Observed): boolean {
  return (
    observed.link?.addresses.includes(`${hostAddress}/24`) === true &&
    identityRanges.every((range) => observed.identityRanges.includes(range))
  )
}

function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}

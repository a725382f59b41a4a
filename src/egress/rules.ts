/**
 * The egress lock: rules of nftables by which the kernel lets the service reach its workers and nothing else, whatever its code
 * does. Pure.
 */

/** By what the kernel knows the service. */
export type LockSubject =
  /** Everything of this user: the Tors of local workers too, unless they are somebody else. */
  | { readonly by: 'user'; readonly user: string }
  /** A systemd unit's control group (version 2), as a path below `/sys/fs/cgroup`, but for what has moved to `tor` inside it. */
  | { readonly by: 'cgroup'; readonly path: string }

/** Somewhere outside this machine that the service may go. */
export interface Way {
  /** For whom: `SSH of tor01`. */
  readonly why: string
  /** An IP address, or a network: `10.1.0.0/16`. */
  readonly address: string
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
}

export interface LockOptions {
  readonly subject: LockSubject
  readonly ways: readonly Way[]
  /** Whether it answers clients of other machines. */
  readonly hasRemoteClients: boolean
}

/** The control group inside the service's own in which the Tors of local workers run. */
export const TOR_CGROUP = 'tor'

const TABLE = 'inet cbtor_egress'

/** A file for `nft -f`, which may be loaded again and again. */
export function egressRules({ subject, ways, hasRemoteClients }: LockOptions): string {
  const allowed = ways.map(
    ({ why, address, protocol, port }) =>
      `${address.includes(':') ? 'ip6' : 'ip'} daddr ${address} ${protocol} dport ${port} accept comment "${why}"`,
  )
  return `# The egress lock of CBTOR: the service reaches its workers and nothing else. See docs/security.md.
table ${TABLE} { }
delete table ${TABLE}
table ${TABLE} {
	chain output {
		type filter hook output priority filter; policy accept;
${indented(entrance(subject))}	}
	chain locked {
		# Names are resolved by exits alone. A resolver on this machine would ask its own servers.
		meta l4proto { tcp, udp } th dport { 53, 853, 5353, 5355 } counter goto refused
		oifname "lo" accept
		oifname "wg-tor*" accept comment "tunnels to boxes"
${indented([...(hasRemoteClients ? ['ct direction reply accept comment "answers to clients"'] : []), ...allowed])}		counter goto refused
	}
	# At once and with an error, as a silent loss would look like a slow network.
	chain refused {
		meta l4proto tcp reject with tcp reset
		reject with icmpx admin-prohibited
	}
}
`
}

function entrance(subject: LockSubject): readonly string[] {
  if (subject.by === 'user') return [`meta skuid ${quoted(subject.user)} goto locked`]
  const depth = subject.path.split('/').length
  return [
    `socket cgroupv2 level ${depth + 1} ${quoted(`${subject.path}/${TOR_CGROUP}`)} accept comment "Tor itself"`,
    `socket cgroupv2 level ${depth} ${quoted(subject.path)} goto locked`,
  ]
}

/** Nothing here comes from strangers; what could end the string is refused all the same. */
function quoted(text: string): string {
  if (!/^[\w@.:/-]+$/.test(text)) throw new RangeError(`Cannot write rules: "${text}" is no user and no control group`)
  return /^\d+$/.test(text) ? text : `"${text}"`
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `\t\t${line}\n`).join('')
}

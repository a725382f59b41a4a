import type { TunnelNames } from './spec.ts'

/** What its rules are known by, in their order: chain and comment. */
const RULES = [
  ['output', 'cbtor: from the addresses of the tunnel not to this machine itself'],
  ['output', 'cbtor: from the addresses of the tunnel by no other interface'],
  ['output', 'cbtor: to the addresses of the tunnel by no other interface'],
  ['input', 'cbtor: answers to us'],
  ['input', 'cbtor: the box may see whether we are there'],
  ['input', 'cbtor: the box begins nothing with us'],
  ['forward', 'cbtor: nobody goes through us from the box'],
  ['forward', 'cbtor: nobody goes through us to the box'],
] as const

/**
 * The firewall of one tunnel, as the argument of `nft`; it replaces what there was in one transaction. It stands behind the
 * kill-switch route: should rules or routes be changed by somebody, packets with the tunnel's addresses still get out by
 * the tunnel alone. And as the box can send us anything, it may only answer.
 */
export function lockRuleset({ lockTable, subnet, interfaceName }: TunnelNames): string {
  const comments = RULES.map(([, comment]) => `comment "${comment}"`)
  const elsewhere = `oifname != { "lo", "${interfaceName}" } counter reject with icmpx type host-unreachable`
  // An address of this machine's own is reached by its loopback interface, whatever our routing table says. ICMP errors are.
  const toOurselves = 'oifname "lo" meta l4proto { tcp, udp } counter reject with icmpx type host-unreachable'
  // The first line makes that there is something to delete; nft 1.0.6 wants each statement on a line of its own.
  return `table inet ${lockTable}
delete table inet ${lockTable}
table inet ${lockTable} {
  chain output {
    type filter hook output priority filter; policy accept;
    ip saddr ${subnet} ${toOurselves} ${comments[0]}
    ip saddr ${subnet} ${elsewhere} ${comments[1]}
    ip daddr ${subnet} ${elsewhere} ${comments[2]}
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "${interfaceName}" ct state established,related accept ${comments[3]}
    iifname "${interfaceName}" icmp type echo-request accept ${comments[4]}
    iifname "${interfaceName}" counter drop ${comments[5]}
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "${interfaceName}" counter drop ${comments[6]}
    oifname "${interfaceName}" counter drop ${comments[7]}
  }
}
`
}

interface NftDocument {
  readonly nftables?: readonly {
    readonly chain?: { readonly name?: string; readonly hook?: string }
    readonly rule?: { readonly chain?: string; readonly comment?: string }
  }[]
}

/** Whether all of the lock is in what `nft -j list table` has printed. */
export function hasLock(json: string): boolean {
  const { nftables = [] } = JSON.parse(json) as NftDocument
  const hooks = nftables.flatMap(({ chain }) =>
    chain?.name !== undefined && chain.name === chain.hook ? [chain.name] : [],
  )
  const rules = nftables.flatMap(({ rule }) => (rule ? [`${rule.chain} ${rule.comment}`] : []))
  const chains = new Set(RULES.map(([chain]) => chain))
  return (
    [...chains].every((chain) => hooks.includes(chain)) &&
    rules.join('\n') === RULES.map((rule) => rule.join(' ')).join('\n')
  )
}

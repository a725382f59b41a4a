import { run } from './run.ts'

/** Free numbers of a routing table and of the order of its rules. */
const TABLE = 66
const RULE_ORDER = 500

/**
 * Swallows what addresses of the network send and are sent, without a word: no reset, no ICMP. Packets are routed to one end of a
 * virtual cable whose other end drops them, as they come from an address of this machine's own. Everything is on the
 * loopback interface here, and the kernel looks there first; so that rule is moved behind ours.
 */
export class Blackhole {
  readonly #addresses = new Set<string>()
  #isDug = false
  /** One change at a time. */
  #change: Promise<unknown> = Promise.resolve()

  /** From now on `address` is dark, or is not. Safe to repeat. Rejects when this kernel has no virtual cables. */
  async set(address: string, isDark: boolean, signal: AbortSignal): Promise<void> {
    const change = this.#change.then(() => this.#set(address, isDark, signal))
    this.#change = change.catch(() => {})
    await change
  }

  async #set(address: string, isDark: boolean, signal: AbortSignal): Promise<void> {
    if (isDark === this.#addresses.has(address)) return
    if (!this.#isDug) await ip(DIG, signal)
    this.#isDug = true
    const verb = isDark ? 'add' : 'delete'
    await ip(
      ['from', 'to'].map((side) => `rule ${verb} pref ${RULE_ORDER} ${side} ${address} lookup ${TABLE}`),
      signal,
    )
    if (isDark) this.#addresses.add(address)
    else this.#addresses.delete(address)
  }
}

const DIG = [
  'link add void type veth peer name void-end',
  // Without ARP, or senders would hear that there is nobody.
  'link set void arp off up',
  'link set void-end arp off up',
  `route add default dev void table ${TABLE}`,
  `rule add pref ${2 * RULE_ORDER} lookup local`,
  'rule delete pref 0',
]

async function ip(commands: readonly string[], signal: AbortSignal): Promise<void> {
  await run(['ip', '-batch', '-'], `${commands.join('\n')}\n`, signal)
}

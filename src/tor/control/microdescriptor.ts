import { parseRelayName } from './relay-name.ts'

/** What a relay's microdescriptor says of it as an exit (dir-spec 3.3), from `GETINFO md/id/<fingerprint>`. */
export interface Microdescriptor {
  /** The ports to which it lets streams out, over IPv4 and over IPv6. A summary: it may refuse some addresses all the same. */
  readonly exitPorts: PortPolicy
  readonly exitPorts6: PortPolicy
  /**
   * The fingerprints that it declares to be of its family, its own perhaps among them. Two relays are of one family when each
   * declares the other.
   */
  readonly family: ReadonlySet<string>
  /** Families by the key that proves them: two relays that share one are of one family. */
  readonly familyIds: readonly string[]
}

/** What is not understood is left out; without a `p` line no port is accepted. */
export function parseMicrodescriptor(text: string): Microdescriptor {
  const lines = text.split('\n')
  const rest = (keyword: string) => lines.find((line) => line.startsWith(`${keyword} `))?.slice(keyword.length + 1)
  const words = (keyword: string) => rest(keyword)?.split(' ').filter(Boolean) ?? []
  return {
    exitPorts: PortPolicy.parse(rest('p')),
    exitPorts6: PortPolicy.parse(rest('p6')),
    // A nickname without a fingerprint says nothing: anybody can have it.
    family: new Set(words('family').flatMap((name) => parseRelayName(name)?.fingerprint ?? [])),
    familyIds: words('family-ids'),
  }
}

const PORTS = /^(accept|reject) (\d{1,5}(?:-\d{1,5})?(?:,\d{1,5}(?:-\d{1,5})?)*)$/

/** The ports of an exit policy in short: `accept 80,443` or `reject 1-1024` (dir-spec 3.8.2). */
export class PortPolicy {
  readonly #isAccept: boolean
  readonly #ranges: readonly (readonly [first: number, last: number])[]

  /** What cannot be read accepts nothing. */
  static parse(text: string | undefined): PortPolicy {
    const [, verb, list] = PORTS.exec(text ?? '') ?? []
    if (list === undefined) return new PortPolicy(true, [])
    const ranges = list.split(',').map((range) => {
      const [first = 0, last = first] = range.split('-').map(Number)
      return [first, last] as const
    })
    return new PortPolicy(verb === 'accept', ranges)
  }

  private constructor(isAccept: boolean, ranges: readonly (readonly [number, number])[]) {
    this.#isAccept = isAccept
    this.#ranges = ranges
  }

  accepts(port: number): boolean {
    return this.#ranges.some(([first, last]) => port >= first && port <= last) === this.#isAccept
  }
}

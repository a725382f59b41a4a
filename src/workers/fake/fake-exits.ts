import { createHash } from 'node:crypto'
import { isIPv6 } from 'node:net'
import { CbtorError } from '../../domain/errors.ts'
import type { ExitDemand, Identity } from '../../domain/identity.ts'
import { type Exit, isOnionHost } from '../../domain/worker.ts'

/** An exit, and the exits of the same people. */
export interface FakeExit extends Exit {
  /** Two with the same are of one family. */
  readonly family?: string
}

/** Which exit each identity has, until there are new circuits. */
export class FakeExits {
  readonly #worker: string
  readonly #exits: readonly FakeExit[]
  /** The identities that have circuits. */
  readonly #inUse = new Map<string, FakeExit | undefined>()
  /** Counts the orders for new circuits. */
  #epoch = 0

  constructor(worker: string, exits: readonly FakeExit[]) {
    this.#worker = worker
    this.#exits = exits
  }

  /** Of the identities that have circuits, by their tokens. */
  get inUse(): ReadonlyMap<string, FakeExit | undefined> {
    return this.#inUse
  }

  /** Throws what a worker driver promises for a demand that cannot be met. */
  assign({ token, exit: demand }: Identity, host: string): FakeExit | undefined {
    if (demand) requireChoice(host)
    if (isOnionHost(host)) {
      this.#inUse.set(token, this.#inUse.get(token))
      return undefined
    }
    const exits = demand ? this.#exits.filter((exit) => this.#fits(exit, demand)) : this.#exits
    if (demand && exits.length === 0)
      throw new CbtorError('no_exit_for_country_port', 'Cannot choose an exit: none satisfies the rule')
    const exit = this.#one(exits, token)
    this.#inUse.set(token, exit)
    return exit
  }

  forget(token: string): void {
    this.#inUse.delete(token)
  }

  /** From now on identities have others. */
  renew(): void {
    this.#epoch++
    this.#inUse.clear()
  }

  /** The last hop of a circuit that no identity has. */
  free(n: number): FakeExit | undefined {
    return this.#one(this.#exits, `free ${n}`)
  }

  #fits(exit: FakeExit, { country, excludeCountries, notBy }: ExitDemand): boolean {
    if (country !== undefined && exit.country !== country) return false
    if (excludeCountries.length > 0 && (!exit.country || excludeCountries.includes(exit.country))) return false
    const others = this.#exits.filter(({ fingerprint }) => notBy.includes(fingerprint))
    return !others.some((other) => areRelated(exit, other))
  }

  /** One identity always leaves by one exit, as one circuit does. */
  #one(exits: readonly FakeExit[], token: string): FakeExit | undefined {
    const hash = createHash('sha256').update(`${this.#worker} ${this.#epoch} `).update(token).digest()
    return exits[hash.readUInt32BE() % exits.length]
  }
}

function areRelated(a: FakeExit, b: FakeExit): boolean {
  return a.fingerprint === b.fingerprint || a.address === b.address || (a.family !== undefined && a.family === b.family)
}

function requireChoice(host: string): void {
  if (!isOnionHost(host) && !isIPv6(host)) return
  throw new CbtorError(
    'exit_rule_unsupported',
    'Cannot choose an exit: the target is a name or IPv4 address, or there is none',
  )
}

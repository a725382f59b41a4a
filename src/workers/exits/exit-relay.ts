import type { Exit } from '../../domain/worker.ts'
import type { Microdescriptor } from '../../tor/control/microdescriptor.ts'

/** A relay that the consensus calls an exit. */
export interface ExitRelay extends Exit {
  readonly address: string
  /** As the authorities measured it; what it is chosen by. */
  readonly bandwidth: number
}

/** An exit with what it says of itself. */
export interface DescribedExit extends ExitRelay {
  readonly descriptor: Microdescriptor
}

/** Whether the same people may run both, as far as anybody can tell: they say so of each other, or share an address. */
export function areRelated(a: DescribedExit, b: DescribedExit): boolean {
  if (a.fingerprint === b.fingerprint || a.address === b.address) return true
  const [one, other] = [a.descriptor, b.descriptor]
  // One that claims to be of another's family is not, unless that other says so, too: or it could take over any family.
  if (one.family.has(b.fingerprint) && other.family.has(a.fingerprint)) return true
  return one.familyIds.some((id) => other.familyIds.includes(id))
}

/**
 * How many groups `exits` fall into of which no two have related exits. Stops at `enough`: large families take long to look
 * through, and begins with those who have none.
 */
export function countFamilies(exits: readonly DescribedExit[], enough = Infinity): number {
  const byFingerprint = new Map(exits.map((exit) => [exit.fingerprint, exit]))
  const byMark = Map.groupBy(
    exits.flatMap((exit) => marksOf(exit).map((mark) => ({ exit, mark }))),
    ({ mark }) => mark,
  )
  const seen = new Set<DescribedExit>()
  let families = 0
  for (const first of exits.toSorted((a, b) => a.descriptor.family.size - b.descriptor.family.size)) {
    if (families >= enough) break
    if (seen.has(first)) continue
    families++
    seen.add(first)
    const group = [first]
    const meet = (other: DescribedExit) => {
      if (!seen.has(other)) group.push(other)
      seen.add(other)
    }
    for (let exit = group.pop(); exit !== undefined; exit = group.pop()) {
      for (const fingerprint of exit.descriptor.family) {
        const other = byFingerprint.get(fingerprint)
        if (other !== undefined && !seen.has(other) && other.descriptor.family.has(exit.fingerprint)) meet(other)
      }
      for (const mark of marksOf(exit)) for (const { exit: other } of byMark.get(mark) ?? []) meet(other)
    }
  }
  return families
}

/** What only related exits have in common. */
function marksOf({ address, descriptor }: DescribedExit): string[] {
  return [`address ${address}`, ...descriptor.familyIds.map((id) => `id ${id}`)]
}

import type { Stages } from '../stage/stages.ts'
import type { Figure } from './figures.ts'

/** How thorough a run is. */
export interface Effort {
  /** Rounds of each case, in each of which every contestant has its turn. */
  readonly rounds: number
  /** Factor on the time that each turn takes. */
  readonly time: number
}

export interface Case {
  /** As it is asked for. */
  readonly name: string
  /** For the heading, and for the list of names. */
  readonly title: string
  /** Tells of progress by `say`. */
  run(stages: Stages, effort: Effort, say: (what: string) => void): Promise<readonly Figure[]>
}

/** `rounds` rounds, in each of which everybody has a turn: whatever the machine does meanwhile, it does to all. */
export async function inTurns<T, R>(
  rounds: number,
  all: readonly T[],
  turn: (each: T, round: number) => Promise<R>,
  before: (round: number) => Promise<void> = async () => {},
): Promise<Map<T, R[]>> {
  const results = new Map<T, R[]>(all.map((each) => [each, []]))
  for (let round = 0; round < rounds; round++) {
    await before(round)
    for (const each of all) results.get(each)?.push(await turn(each, round))
  }
  return results
}

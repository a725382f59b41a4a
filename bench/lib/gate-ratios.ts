import { median } from './stats.ts'

export type Better = 'lower' | 'higher'

/** What was learned of a ratio. */
export interface Learned {
  readonly ratio: number
  /** By what share it may be worse by chance. */
  readonly noise: number
  readonly better: Better
}

export interface GateFile {
  readonly commit: string
  readonly machine: string
  readonly runs: number
  readonly ratios: Readonly<Record<string, Learned>>
}

export interface Compared {
  readonly name: string
  readonly known: number
  /** Undefined where it was not measured. */
  readonly now: number | undefined
  readonly bound: number
  readonly better: Better
  readonly isWorse: boolean
}

/** However steady the runs were that it was learned from: another machine is another one. */
const LEAST_NOISE = 0.25
/** How many times what the runs were apart from their median. */
const MARGIN = 2

export function learn(values: readonly number[], better: Better): Learned {
  const ratio = median(values)
  const furthest = Math.max(...values.map((value) => Math.abs(value - ratio))) / ratio
  return { ratio: short(ratio), noise: short(Math.max(LEAST_NOISE, MARGIN * furthest)), better }
}

/** Each ratio that is known beside what it is now: one that was not measured is worse. */
export function compare(known: GateFile['ratios'], got: ReadonlyMap<string, number>): readonly Compared[] {
  return Object.entries(known).map(([name, { ratio, noise, better }]) => {
    const now = got.get(name)
    // By as many times as by that share: a ratio of 2 that is half as good is 1, and of 0.5 it is 1, too.
    const bound = better === 'lower' ? ratio * (1 + noise) : ratio / (1 + noise)
    const isWorse = now === undefined || (better === 'lower' ? now > bound : now < bound)
    return { name, known: ratio, now, bound, better, isWorse }
  })
}

function short(value: number): number {
  return Number(value.toPrecision(3))
}

import { pairedRatio } from './stats.ts'

export type Unit = 'ms' | 'µs' | 'req/s' | 'MB/s' | 'tunnels/s' | 'KiB' | 'MiB' | '%' | 'failed' | 's' | 'ns'

/** What one contestant did in one variant of a case. */
export interface Figure {
  readonly case: string
  readonly variant: string
  readonly contestant: string
  readonly unit: Unit
  /** One of each round, in the same order for all contestants of the variant. */
  readonly values: readonly number[]
  /** What else was seen, such as failures. */
  readonly note?: string
  /** Why there are no values: the peer is not here. */
  readonly missing?: string
}

/** What is to be reached, as a ratio of two contestants or as a number. */
export interface Goal {
  readonly text: string
  readonly case: string
  readonly variant: string
  readonly contestant: string
  /** The contestant, or the variant, that it is measured against; none: the number itself. */
  readonly against?: { readonly contestant?: string; readonly variant?: string }
  readonly atMost?: number
  readonly atLeast?: number
}

export interface Verdict {
  readonly goal: Goal
  /** Undefined where it was not measured. */
  readonly got: number | undefined
  readonly isMet: boolean
}

export function judge(goal: Goal, figures: readonly Figure[]): Verdict {
  const got = measured(goal, figures)
  const isMet = got !== undefined && got <= (goal.atMost ?? got) && got >= (goal.atLeast ?? got)
  return { goal, got, isMet }
}

/** The ratio that a goal is about, or the number; undefined where it was not measured. */
export function measured(
  { case: name, variant, contestant, against }: Omit<Goal, 'text'>,
  figures: readonly Figure[],
): number | undefined {
  const find = (variantWanted: string, who: string) =>
    figures.find((each) => each.case === name && each.variant === variantWanted && each.contestant === who)
  const ours = find(variant, contestant)
  if (ours === undefined || ours.values.length === 0) return undefined
  if (against === undefined)
    return pairedRatio(
      ours.values,
      ours.values.map(() => 1),
    )
  const base = find(against.variant ?? variant, against.contestant ?? contestant)
  const ratio = base && pairedRatio(ours.values, base.values)
  return ratio === undefined || Number.isNaN(ratio) ? undefined : ratio
}

/** Two runs as one of as many rounds. */
export function together(first: readonly Figure[], second: readonly Figure[]): Figure[] {
  const keyOf = (figure: Figure) => [figure.case, figure.variant, figure.contestant].join('|')
  const more = new Map(second.map((figure) => [keyOf(figure), figure.values]))
  return first.map((figure) => ({ ...figure, values: [...figure.values, ...(more.get(keyOf(figure)) ?? [])] }))
}

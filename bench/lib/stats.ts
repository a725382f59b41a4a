/** Of numbers in any order; NaN of none. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** The value that a share `q`, 0 to 1, of all is not above, between two of them by proportion; NaN of none. What is NaN was not measured. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b)
  const at = (sorted.length - 1) * q
  const below = sorted[Math.floor(at)] ?? Number.NaN
  return below + ((sorted[Math.ceil(at)] ?? Number.NaN) - below) * (at - Math.floor(at))
}

/** How far the middle half of the values lies apart, as a share of the median; 0 of a single one. */
export function spread(values: readonly number[]): number {
  const middle = median(values)
  return middle === 0 ? 0 : (quantile(values, 0.75) - quantile(values, 0.25)) / Math.abs(middle)
}

/** The median of the ratios within each round: what slows a round down slows both. */
export function pairedRatio(values: readonly number[], base: readonly number[]): number {
  const pairs = values.slice(0, base.length).map((value, round) => value / (base[round] ?? Number.NaN))
  return median(pairs.filter((ratio) => Number.isFinite(ratio)))
}

import type { InspectedWorkerBody } from '../api/bodies.ts'

type Circuit = NonNullable<InspectedWorkerBody['circuits']>[number]

/** Those that stand and carry requests first, the youngest before older ones; then what Tor keeps for itself, and what still grows. */
export function circuitsInOrder(circuits: readonly Circuit[]): readonly Circuit[] {
  return circuits
    .filter(({ status }) => status !== 'CLOSED' && status !== 'FAILED')
    .toSorted(
      (one, other) =>
        rank(one) - rank(other) || (one.age_s ?? 0) - (other.age_s ?? 0) || Number(other.id) - Number(one.id),
    )
}

function rank({ status, purpose }: Circuit): number {
  if (status !== 'BUILT') return 3
  if (purpose === null || purpose === 'GENERAL' || purpose === 'CONFLUX_LINKED') return 0
  return purpose === 'HS_CLIENT_REND' ? 0 : 2
}

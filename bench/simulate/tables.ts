import { MODES_MEASURED, type PoolFigures, type ReplicaFigures } from './simulated.ts'

export interface Goal {
  readonly what: string
  readonly most: number
  readonly got: number
}

export function goalLines(goals: readonly Goal[]): string[] {
  const rows = goals.map(({ what, most, got }) => [
    what,
    `≤ ${most}`,
    got.toFixed(1),
    got <= most ? 'reached' : '**not reached**',
  ])
  return table(['', 'wanted', 'got', ''], rows)
}

/** A row for each figure, a column for each size, and how the last grows from the one before: as the workers do, or more. */
export function poolLines(pools: readonly PoolFigures[]): string[] {
  const rows: [string, (figures: PoolFigures) => number, number][] = [
    ...MODES_MEASURED.flatMap((mode): [string, (figures: PoolFigures) => number, number][] => [
      [`choice, ${mode}, p50; µs`, ({ picks }) => picks[mode].p50, 1],
      [`choice, ${mode}, p99; µs`, ({ picks }) => picks[mode].p99, 1],
    ]),
    ['end of a request with its outcome, p50; µs', ({ ends }) => ends.round_robin.p50, 1],
    ['the same, p99: of one that failed; µs', ({ ends }) => ends.round_robin.p99, 1],
    ['the watch over all, of a core; %', ({ healthShare }) => 100 * healthShare, 2],
    ['the same for each worker; µs a second', ({ healthShare, workers }) => (1e6 * healthShare) / workers, 0],
    ['lateness of timers meanwhile, p99; ms', ({ lagP99 }) => lagP99, 1],
  ]
  return table(
    ['workers', ...pools.map(({ workers }) => `${workers}`)],
    rows.map(([what, of, digits]) => [what, ...pools.map((each) => of(each).toFixed(digits))]),
  )
}

export function replicaLines(all: readonly ReplicaFigures[]): string[] {
  return table(
    [
      ...['workers', 'replicas', 'one replica, of a core; %', 'its memory; MB', 'of it objects; MB'],
      ...['store, of a core; %', 'commands a second', 'kB a second', 'memory; MB'],
    ],
    all.map(({ workers, replicas, idleShare, residentMb, heapMb, store }) => [
      ...[`${workers}`, `${replicas}`, (100 * idleShare).toFixed(1), residentMb.toFixed(0), heapMb.toFixed(0)],
      ...(store === undefined
        ? ['–', '–', '–', '–']
        : [
            (100 * store.share).toFixed(1),
            store.commandsPerSecond.toFixed(0),
            store.kbPerSecond.toFixed(0),
            store.mb.toFixed(1),
          ]),
    ]),
  )
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)]
}

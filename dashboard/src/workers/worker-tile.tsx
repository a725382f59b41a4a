import { useMemo } from 'preact/hooks'
import type { LiveWorkerBody } from '../api/bodies.ts'
import { linkTo } from '../routing/route.ts'
import { Icon } from '../ui/icon.tsx'
import { bytes, rate } from '../ui/text.ts'
import { lookOf } from './look.ts'
import { throughputOf } from './worker-list.ts'

interface WorkerTileProps {
  readonly worker: LiveWorkerBody
  /** In the drawer. */
  readonly isOpen: boolean
}

/** A worker among very many: what it is, how it is, how much it does. The rest is in the drawer that it opens. */
export function WorkerTile({ worker, isOpen }: WorkerTileProps) {
  return useMemo(() => {
    const { id, leases, requests_per_s: perSecond, bootstrap, state } = worker
    const look = lookOf(worker)
    const does =
      state === 'starting' && bootstrap.progress < 100
        ? `${bootstrap.progress} %`
        : look.tone === 'ok' || look.tone === 'warn'
          ? `${rate(perSecond)}/s · ${bytes(throughputOf(worker))}/s`
          : look.word
    return (
      <a class={`tile tone-${look.tone}`} href={linkTo('workers', id)} data-worker={id} aria-current={isOpen}>
        <span class="tile-head">
          <Icon name={look.icon} size={14} />
          <b>{id}</b>
          {leases > 0 && (
            <span class="tile-leases number" title="Leases">
              {leases}
            </span>
          )}
        </span>
        <span class="for-readers">{look.word}</span>
        <span class="tile-does number">{does}</span>
      </a>
    )
  }, [worker, isOpen])
}

import { useState } from 'preact/hooks'
import type { InspectedWorkerBody } from '../api/bodies.ts'
import { Country } from '../ui/country.tsx'
import { Icon } from '../ui/icon.tsx'
import { ErrorNote, Skeleton } from '../ui/notes.tsx'
import { inWords, roughDuration } from '../ui/text.ts'
import { useResource } from '../ui/use-resource.ts'
import { circuitsInOrder } from './circuit-order.ts'

type Circuit = NonNullable<InspectedWorkerBody['circuits']>[number]

const ASK_EVERY_MS = 5_000
/** So many stand on a card until more are asked for. */
const SHOWN_AT_FIRST = 3

interface CircuitsProps {
  readonly worker: string
  /** Its Tor is asked for as long as this is true. */
  readonly isSeen: boolean
  readonly isWhole: boolean
}

/** A worker's circuits from guard to exit, as its own Tor tells them. */
export function Circuits({ worker, isSeen, isWhole }: CircuitsProps) {
  const path = isSeen ? `/api/v1/tor/workers/${encodeURIComponent(worker)}` : undefined
  const { data, error } = useResource<InspectedWorkerBody>(path, { everyMs: ASK_EVERY_MS })
  const [isOpen, setOpen] = useState(isWhole)
  if (data === undefined && error !== undefined) return <ErrorNote error={error} />
  if (data === undefined) return <Skeleton lines={SHOWN_AT_FIRST} />
  if (data.circuits === null) return <p class="muted circuits-none">{data.not_told ?? 'Tor told of no circuits'}.</p>
  const circuits = circuitsInOrder(data.circuits)
  if (circuits.length === 0) return <p class="muted circuits-none">No circuit stands.</p>
  const shown = isOpen ? circuits : circuits.slice(0, SHOWN_AT_FIRST)
  const more = circuits.length - SHOWN_AT_FIRST
  return (
    <>
      <ul class="circuits" data-open={isOpen}>
        {shown.map((circuit) => (
          <CircuitLine key={circuit.id} circuit={circuit} />
        ))}
      </ul>
      {more > 0 && (
        <button type="button" class="link-button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          {isOpen ? 'Show fewer' : `Show ${more} more`}
        </button>
      )}
    </>
  )
}

function CircuitLine({ circuit: { status, purpose, path, age_s: ageS } }: { readonly circuit: Circuit }) {
  const isBuilt = status === 'BUILT'
  const what = [
    purposeWord(purpose),
    isBuilt ? '' : status.toLowerCase(),
    ageS === null ? '' : roughDuration(ageS * 1_000),
  ]
  return (
    <li class={`circuit ${isBuilt ? '' : 'circuit-growing'} ${path.length > 3 ? 'circuit-long' : ''}`}>
      <ol class="circuit-path">
        {path.map(({ nickname, fingerprint, country, address }, hop) => (
          <li
            key={fingerprint}
            title={`${roleOf(hop, path.length, isBuilt)} ${nickname ?? ''} ${address ?? ''} ${fingerprint}`}
          >
            {hop > 0 && <Icon name="right" size={12} />}
            <span class="for-readers">{roleOf(hop, path.length, isBuilt)}</span>
            <Country code={country ?? null} />
            <span class="relay">{nickname ?? fingerprint.slice(0, 8)}</span>
          </li>
        ))}
        {path.length === 0 && <li class="muted">no hop yet</li>}
      </ol>
      <span class="circuit-what number">{what.filter(Boolean).join(' · ')}</span>
    </li>
  )
}

const PURPOSES: Readonly<Record<string, string>> = {
  GENERAL: '',
  CONFLUX_LINKED: 'conflux',
  CONFLUX_UNLINKED: 'conflux, to be linked',
  HS_CLIENT_HSDIR: 'descriptor',
  HS_CLIENT_INTRO: 'introduction',
  HS_CLIENT_REND: 'onion',
  HS_VANGUARDS: 'vanguards',
  MEASURE_TIMEOUT: 'measuring',
}

/** What Tor uses it for; nothing is said of what is usual. */
function purposeWord(purpose: string | null): string {
  return purpose === null ? '' : (PURPOSES[purpose] ?? inWords(purpose.toLowerCase()))
}

function roleOf(hop: number, length: number, isBuilt: boolean): string {
  if (hop === 0) return 'guard'
  return isBuilt && hop === length - 1 ? 'last hop' : 'middle'
}

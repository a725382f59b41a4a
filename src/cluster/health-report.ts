/** What a replica tells of the workers' health with each beat. Unknown fields are left out by who does not know them. */
import { isRecord, type Json } from '../lib/json.ts'

/** Of a worker that this replica heals. `provenMsAgo`: since it was last seen to work. */
export interface ToldWorker {
  readonly worker: string
  readonly state: 'well' | 'ill' | 'healing'
  readonly provenMsAgo: number
}

export interface HealthReport {
  readonly healed: readonly ToldWorker[]
  /** What it finds well by what it sees itself, although who heals it does not. */
  readonly wellHere: readonly string[]
  /** How long ago each was rebooted, as far as known: of the last day. */
  readonly rebootsMsAgo: ReadonlyMap<string, readonly number[]>
}

const LETTERS = { well: 'w', ill: 'i', healing: 'h' } as const
const STATES: Readonly<Record<string, ToldWorker['state']>> = { w: 'well', i: 'ill', h: 'healing' }
/** Longer is never. */
const MOST_MS = 86_400_000

/** Short, as there may be a thousand workers and a beat each second: `{w: [[id, letter, msAgo]], v: [id], b: {id: [msAgo]}}`. */
export function writeHealth({ healed, wellHere, rebootsMsAgo }: HealthReport): Json {
  return {
    w: healed.map(({ worker, state, provenMsAgo }) => [worker, LETTERS[state], wholeMs(provenMsAgo)]),
    ...(wellHere.length > 0 && { v: wellHere }),
    ...(rebootsMsAgo.size > 0 && {
      b: Object.fromEntries([...rebootsMsAgo].map(([id, all]) => [id, all.map(wholeMs)])),
    }),
  }
}

export function readHealth(payload: Json): HealthReport {
  const { w, v, b } = isRecord(payload) ? payload : {}
  const rebootsMsAgo = Object.entries(isRecord(b) ? b : {}).map(
    ([id, all]) => [id, list(all).filter((each) => typeof each === 'number')] as const,
  )
  return {
    healed: list(w).flatMap(toldWorker),
    wellHere: list(v).filter((id) => typeof id === 'string'),
    rebootsMsAgo: new Map(rebootsMsAgo),
  }
}

function toldWorker(told: Json): readonly ToldWorker[] {
  const [worker, letter, provenMsAgo] = list(told)
  const state = typeof letter === 'string' ? STATES[letter] : undefined
  if (typeof worker !== 'string' || state === undefined || typeof provenMsAgo !== 'number') return []
  return [{ worker, state, provenMsAgo: Math.max(0, provenMsAgo) }]
}

/** Rather too young: what was long ago permits more. */
function wholeMs(ms: number): number {
  return Math.floor(Math.min(ms, MOST_MS))
}

function list(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : []
}

import { randomBytes, randomInt } from 'node:crypto'

/** Chance, as a collaborator. */
export interface Random {
  /** Uniform in [0, 1). */
  float(): number
  /** Uniform whole number in [0, below). */
  int(below: number): number
  /** Unpredictable bytes: secrets and nonces come from here. */
  bytes(count: number): Buffer
}

export const systemRandom: Random = {
  float: () => randomInt(2 ** 47) / 2 ** 47,
  int: (below) => randomInt(below),
  bytes: (count) => (count <= MOST_FROM_AHEAD ? fromAhead(count) : randomBytes(count)),
}

/** A call of the system's generator takes 8 µs however little it is asked for, and each request wants a few bytes. */
const AHEAD = 4_096
const MOST_FROM_AHEAD = 32
let ahead = Buffer.alloc(0)
let used = 0

function fromAhead(count: number): Buffer {
  if (used + count > ahead.length) {
    ahead = randomBytes(AHEAD)
    used = 0
  }
  const taken = Buffer.from(ahead.subarray(used, used + count))
  ahead.fill(0, used, used + count) // nobody finds them here later
  used += count
  return taken
}

/** The same sequence for the same seed (mulberry32). For tests only: its bytes are no secret. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const float = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    float,
    int: (below) => Math.floor(float() * below),
    bytes: (count) => Buffer.from(Array.from({ length: count }, () => Math.floor(float() * 256))),
  }
}

import type { Random } from '../../src/lib/random.ts'

/** One of them. */
export function pick<T>(random: Random, all: readonly T[]): T {
  return all[random.int(all.length)] as T
}

/** True once in `times`. */
export function once(random: Random, times: number): boolean {
  return random.int(times) === 0
}

const NASTY = [
  '\0',
  '\r\n',
  '\n',
  '\r',
  ' ',
  '\t',
  '%00',
  '%2e%2e/',
  '../',
  '\x7f',
  '\xff',
  '\xc3\xa9',
  '{',
  '"',
  '\\',
  ':',
  '@',
  '//',
  "'",
]

/** ISO 8859-1. Flips, puts in, takes away, cuts off or repeats bytes, `count` times. */
export function mutated(text: string, random: Random, count = 1 + random.int(3)): string {
  let bytes = text
  for (let turn = 0; turn < count; turn++) {
    const at = random.int(bytes.length + 1)
    switch (random.int(7)) {
      case 0:
        bytes = bytes.slice(0, at) + String.fromCharCode(random.int(256)) + bytes.slice(at + 1)
        break
      case 1:
        bytes =
          bytes.slice(0, at) +
          String.fromCharCode((bytes.charCodeAt(at) ^ (1 << random.int(8))) & 255) +
          bytes.slice(at + 1)
        break
      case 2:
        bytes = bytes.slice(0, at) + pick(random, NASTY) + bytes.slice(at)
        break
      case 3:
        bytes = bytes.slice(0, at) + bytes.slice(at + 1 + random.int(8))
        break
      case 4:
        bytes = bytes.slice(0, at)
        break
      case 5: {
        const length = random.int(40)
        bytes = bytes.slice(0, at + length) + bytes.slice(at)
        break
      }
      case 6:
        bytes =
          bytes.slice(0, at) + pick(random, ['a', '0', ' ', '.', '%41']).repeat(1 + random.int(300)) + bytes.slice(at)
        break
    }
  }
  return bytes
}

import { PortPolicy } from '../../tor/control/microdescriptor.ts'
import type { DescribedExit } from './exit-relay.ts'

/** 40 digits that begin with the number. For tests. */
export function fingerprintOf(n: number): string {
  return n.toString(16).toUpperCase().padStart(4, '0').repeat(10)
}

/** An exit number `n` for tests, with an address of its own, in Germany, that takes every port. */
export function testExit(
  n: number,
  {
    ports = 'accept 1-65535',
    family = [],
    familyIds = [],
    ...changes
  }: Partial<DescribedExit> & {
    readonly ports?: string
    readonly family?: readonly number[]
    readonly familyIds?: readonly string[]
  } = {},
): DescribedExit {
  return {
    nickname: `exit${n}`,
    fingerprint: fingerprintOf(n),
    address: `203.0.${n >> 8}.${n & 0xff}`,
    country: 'de',
    bandwidth: 1_000,
    descriptor: {
      exitPorts: PortPolicy.parse(ports),
      exitPorts6: PortPolicy.parse(undefined),
      family: new Set(family.map(fingerprintOf)),
      familyIds,
    },
    ...changes,
  }
}

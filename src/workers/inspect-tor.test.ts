import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { TorControl } from '../tor/control/client.ts'
import type { Circuit } from '../tor/control/events/circuit.ts'
import { inspectTor } from './inspect-tor.ts'

const GUARD = 'A'.repeat(40)
const EXIT = 'B'.repeat(40)

function circuit(id: string, ...path: string[]): Circuit {
  const relays = path.map((fingerprint) => ({ fingerprint, nickname: `relay${fingerprint[0]}` }))
  return { id, status: 'BUILT', path: relays, purpose: 'GENERAL' } as unknown as Circuit
}

/** A Tor that tells of its circuits, and of nothing else. */
function torWith(circuits: readonly Circuit[]): TorControl {
  const refuse = async () => {
    throw new Error('552 Unrecognized key')
  }
  return { circuits: async () => circuits, guards: refuse, getInfo: refuse, listeners: refuse } as unknown as TorControl
}

describe('inspectTor()', () => {
  it('says where each relay of a circuit is, and asks for each once', async () => {
    const asked: string[] = []
    const tor = torWith([circuit('1', GUARD, EXIT), circuit('2', GUARD)])
    const { circuits, guards } = await inspectTor(
      tor,
      () => false,
      async (fingerprint) => {
        asked.push(fingerprint)
        return fingerprint === EXIT ? undefined : { address: '192.0.2.1', country: 'se' }
      },
      new AbortController().signal,
    )
    assert.deepEqual(
      circuits?.map(({ path }) => path),
      [
        [
          { fingerprint: GUARD, nickname: 'relayA', address: '192.0.2.1', country: 'se' },
          { fingerprint: EXIT, nickname: 'relayB' },
        ],
        [{ fingerprint: GUARD, nickname: 'relayA', address: '192.0.2.1', country: 'se' }],
      ],
    )
    assert.deepEqual(asked.sort(), [GUARD, EXIT])
    assert.equal(guards, undefined)
  })
})

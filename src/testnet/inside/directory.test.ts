import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isRelay, planNetwork } from '../plan.ts'
import { isComplete } from './bring-up.ts'
import { parseConsensus } from './directory.ts'

const { processes } = planNetwork({ isolation: 'namespace', latencyMs: 0, loopbackSlot: 0 })

it('reads names and flags of a consensus', () => {
  const { relays } = parseConsensus(
    'network-status-version 3\nr exit1 EodI JJTI 2026-01-01 00:00:00 203.0.113.21 5101 0\ns Exit Running\nw Bandwidth=1\n',
  )
  assert.deepEqual(relays, [{ name: 'exit1', flags: ['Exit', 'Running'] }])
})

it('calls a consensus complete when every relay is usable for its role', () => {
  const relays = processes.filter(isRelay).map(({ name, role }) => ({
    name,
    flags: ['HSDir', 'Running', ...(role === 'exit' ? ['Exit'] : [])],
  }))
  assert.equal(isComplete({ relays }, processes), true)
  assert.equal(isComplete({ relays: relays.slice(1) }, processes), false)
  const withoutExit = relays.map((relay) => ({ ...relay, flags: relay.flags.filter((flag) => flag !== 'Exit') }))
  assert.equal(isComplete({ relays: withoutExit }, processes), false)
})

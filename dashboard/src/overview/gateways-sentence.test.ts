import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { ReplicasBody } from '../api/bodies.ts'
import { gatewaysSentence } from './gateways-sentence.ts'

const STORE = { kind: 'shared', up: true, down_since: null, pending: 0 } as const

function replica(name: string, self = false): ReplicasBody['replicas'][number] {
  return { name, version: '1.0.0', started_at: '2026-01-31T12:00:00.000Z', self, heals: 2 }
}

it('gatewaysSentence() tells of a pool that several share', () => {
  const replicas = [replica('gw1'), replica('gw2', true)]
  assert.equal(gatewaysSentence({ store: STORE, replicas }), 'Gateways: gw1, gw2 (this one); the store answers.')
  assert.equal(
    gatewaysSentence({ store: { ...STORE, up: false, pending: 2 }, replicas: [replica('gw2', true)] }),
    'Gateways: gw2; the store does not answer, 2 changes not written to it yet.',
  )
  assert.equal(gatewaysSentence({ store: { ...STORE, kind: 'embedded' }, replicas }), undefined)
})

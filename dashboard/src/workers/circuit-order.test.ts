import assert from 'node:assert/strict'
import { it } from 'node:test'
import { circuitsInOrder } from './circuit-order.ts'

it('circuitsInOrder() has those that carry requests first, the youngest before older ones, and none that is over', () => {
  const circuits = (
    [
      ['1', 'BUILT', 'HS_VANGUARDS', 1],
      ['2', 'EXTENDED', 'GENERAL', 0],
      ['3', 'BUILT', 'GENERAL', 90],
      ['4', 'BUILT', 'HS_CLIENT_REND', 20],
      ['5', 'CLOSED', 'GENERAL', 5],
      ['6', 'BUILT', null, null],
      ['7', 'BUILT', 'CONFLUX_LINKED', 20],
    ] as const
  ).map(([id, status, purpose, age]) => ({ id, status, purpose, path: [], age_s: age }))
  assert.deepEqual(
    circuitsInOrder(circuits).map(({ id }) => id),
    ['6', '7', '4', '3', '1', '2'],
  )
})

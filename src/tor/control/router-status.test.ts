import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseRouterStatuses } from './router-status.ts'

const IDENTITY = Buffer.alloc(20, 0xab).toString('base64').slice(0, 27)

describe('parseRouterStatuses()', () => {
  it('reads the entries of a consensus, in both flavours', () => {
    const text = [
      `r exit1 ${IDENTITY} ${IDENTITY} 2038-01-01 00:00:00 203.0.113.7 9001 0`,
      'a [2001:db8::7]:9001',
      's Exit Fast Guard Running Stable Valid',
      'v Tor 0.4.9.11',
      'w Bandwidth=1234 Unmeasured=1',
      'p accept 80,443',
      `r relay2 ${IDENTITY} 2038-01-01 00:00:00 203.0.113.8 9002 9030`,
      's',
    ].join('\n')
    assert.deepEqual(parseRouterStatuses(text), [
      {
        nickname: 'exit1',
        fingerprint: 'AB'.repeat(20),
        address: '203.0.113.7',
        orPort: 9001,
        otherAddresses: [{ host: '2001:db8::7', port: 9001 }],
        flags: ['Exit', 'Fast', 'Guard', 'Running', 'Stable', 'Valid'],
        bandwidth: 1234,
        exitPorts: 'accept 80,443',
      },
      {
        nickname: 'relay2',
        fingerprint: 'AB'.repeat(20),
        address: '203.0.113.8',
        orPort: 9002,
        otherAddresses: [],
        flags: [],
        bandwidth: undefined,
        exitPorts: undefined,
      },
    ])
  })

  it('leaves out what is no entry', () => {
    const cases = [
      '',
      'r',
      'r x',
      'r x !! 2038-01-01 00:00:00 1.2.3.4 1 0',
      `r x ${IDENTITY} 2038-01-01 00:00:00`,
      's Exit',
    ]
    for (const text of cases) assert.deepEqual(parseRouterStatuses(text), [], text)
  })
})

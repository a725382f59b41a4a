import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { requireNetAdmin } from './capability.ts'

describe('requireNetAdmin()', () => {
  it('lets root, and services with the ambient capability, and nobody else', () => {
    assert.doesNotThrow(() => requireNetAdmin(status({ uid: 0, effective: '000001ffffffffff' })))
    assert.doesNotThrow(() => requireNetAdmin(status({ uid: 0, effective: '0000000000001000' })))
    assert.doesNotThrow(() =>
      requireNetAdmin(status({ uid: 33, effective: '0000000000001000', ambient: '0000000000001000' })),
    )
    const message = /needs the right to change the network \(CAP_NET_ADMIN\). Run it as root, or/
    const refused = { fault: 'not-permitted', message }
    assert.throws(() => requireNetAdmin(status({ uid: 33, effective: '0000000000000000' })), refused)
    assert.throws(() => requireNetAdmin(status({ uid: 0, effective: '000001ffffffefff' })), refused)
    assert.throws(() => requireNetAdmin(status({ uid: 33, effective: '0000000000001000' })), refused)
  })
})

function status({ uid = 0, effective = '', ambient = '0000000000000000' }): string {
  return `Name:\tnode\nUid:\t${uid}\t${uid}\t${uid}\t${uid}\nCapPrm:\t0\nCapEff:\t${effective}\nCapAmb:\t${ambient}\n`
}

import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { shareByAddress } from './address-share.ts'

class FakeSocket extends EventEmitter {
  readonly remoteAddress: string | undefined
  destroyed = false

  constructor(remoteAddress: string | undefined) {
    super()
    this.remoteAddress = remoteAddress
  }

  destroy(): void {
    this.destroyed = true
    this.emit('close')
  }
}

function createLab(maxConnections: number) {
  const server = createServer()
  server.maxConnections = maxConnections
  shareByAddress(server)
  return (address: string | undefined) => {
    const socket = new FakeSocket(address)
    server.emit('connection', socket as unknown as Socket)
    return socket
  }
}

describe('connections of one address', () => {
  it('are a quarter of all at most, and others are taken', () => {
    const connect = createLab(8)
    const first = connect('192.0.2.1')
    assert.equal(connect('::ffff:192.0.2.1').destroyed, false)
    for (let n = 0; n < 3; n++) assert.equal(connect('192.0.2.1').destroyed, true)
    assert.equal(connect('192.0.2.2').destroyed, false)
    first.destroy()
    assert.equal(connect('192.0.2.1').destroyed, false)
    assert.equal(connect('192.0.2.1').destroyed, true)
  })

  it('are counted by network in IPv6', () => {
    const connect = createLab(8)
    const addresses = ['2001:db8::1', '2001:db8:0:0:8000::2', '2001:db8::3', '2001:db8:0:1::1', 'fe80::1%eth0']
    assert.deepEqual(
      addresses.map((address) => connect(address).destroyed),
      [false, false, true, false, false],
    )
  })

  it('are as many as there are on this machine', () => {
    const connect = createLab(4)
    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1', undefined])
      for (let n = 0; n < 3; n++) assert.equal(connect(address).destroyed, false, address)
  })
})

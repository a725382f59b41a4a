/** Each observation point sees what it is there for: a test that sees nothing would pass whatever leaked. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { connect } from 'node:net'
import { before, describe, it } from 'node:test'
import { eventually } from '../asking.ts'
import type { Gateway } from './gateway.ts'
import { type LeakLab, sharedLab } from './leak-lab.ts'

describe('observation', { timeout: 600_000 }, () => {
  let lab: LeakLab
  let gateway: Gateway
  before(async () => {
    ;({ lab, gateway } = await sharedLab())
  })

  it('O1 counts a connection in clear, here and at the other end, by IPv4 and IPv6', async () => {
    for (const host of ['198.51.100.120', '2001:db8:2::1']) {
      const watch = await lab.watch()
      const socket = connect({ host, port: 80 }).on('error', () => {})
      await eventually(async () => (await lab.outside.counts()).arrived > 0, 5_000)
      socket.destroy()
      const { tried, left, arrived } = await lab.outside.counts()
      assert.ok(tried > 0 && left > 0 && arrived > 0, `${host}: ${tried}, ${left}, ${arrived}`)
      assert.match((await lab.outside.offenders()).join(), /"tcp",80|"http"|6,80/)
      await assert.rejects(watch.nothingLeaked())
    }
  })

  it('O1 counts a datagram', async () => {
    await lab.watch()
    const socket = createSocket('udp4')
    await new Promise((resolve) => socket.send('x', 443, '198.51.100.120', resolve))
    socket.close()
    await eventually(async () => (await lab.outside.counts()).arrived > 0, 5_000)
  })

  it('O2 logs a name that is asked of the system, and says where it leads', async () => {
    const watch = await lab.watch()
    assert.equal((await lookup('planted.example')).address, '198.51.100.120')
    assert.deepEqual([...new Set(lab.resolver.names)], ['planted.example'])
    await assert.rejects(watch.nothingLeaked())
  })

  it('O1 sees nobody while all is quiet, and the service on its loopback interface', async () => {
    const watch = await lab.watch()
    const { port, hostname } = new URL(gateway.url)
    const socket = connect({ host: hostname, port: Number(port) })
    await once(socket, 'connect')
    socket.destroy()
    await watch.nothingLeaked()
  })

  it('O3, O4 and O5 see a fetch: its name, its request, its stream and its circuit', async () => {
    const watch = await lab.watch()
    const mark = gateway.circuits.streams.length
    const host = 'seen.cbtor.test'
    await gateway.api.fetch({ url: `http://${host}/anything/seen-token`, isolation: 'request' })
    await gateway.circuits.settle()
    assert.deepEqual(await watch.namesAtExits(), [host])
    const [request] = await watch.requests('seen-token')
    assert.equal(request?.host, host)
    const streams = gateway.circuits.since(mark).filter(({ host: asked }) => asked === host)
    assert.equal(streams.length, 1)
    assert.equal(streams[0]?.circuits.size, 1)
    await watch.nothingLeaked()
  })

  it('O5 tells when two users are on one circuit', async () => {
    const { CircuitWatch } = await import('./circuit-watch.ts')
    await using watch = new CircuitWatch('/nowhere')
    const stream = { worker: 'w', host: 'h', port: 80, isoFields: [], nymEpoch: 1, at: 0 }
    watch.streams.push({ ...stream, user: 'a', circuits: new Set(['w#1 7']) })
    assert.deepEqual(watch.shared(), [])
    watch.streams.push({ ...stream, user: 'b', circuits: new Set(['w#1 7']) })
    assert.deepEqual(watch.shared(), [['w#1 7', ['a', 'b']]])
  })

  it('O6 has the log, the store, the metrics and the events', async () => {
    const remains = await gateway.remains()
    assert.match(remains.log ?? '', /"level"/)
    assert.match(remains.store ?? '', /SQLite format 3/)
    assert.match(remains.metrics ?? '', /cbtor_requests_total/)
    assert.match(remains.events ?? '', /service_started/)
    assert.match(remains.workers ?? '', /tor01/)
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createLogger } from '../lib/log.ts'
import type { FakeHost } from './fake-host.ts'
import { HostTunnels } from './host-tunnels.ts'
import { type FakeMachine, fakeMachine } from './test-tunnels.ts'
import { TunnelWatch } from './watch.ts'

describe('TunnelWatch', () => {
  it('puts right what changes, soon after it is told', async (t) => {
    await using machine = await fakeMachine()
    const { tunnels, watch, lines } = watching(machine)
    await using _ = watch
    await tunnels.up(1, t.signal)
    await machine.clock.advance(1_000)
    await flap(machine.host, t.signal)
    assert.equal((await tunnels.status(1, t.signal)).defaultRoute, false)
    await machine.clock.advance(1_000)
    assert.deepEqual((await tunnels.status(1, t.signal)).problems, [])
    assert.match(lines.join(), /route replace default dev wg-tor01 table 20101.*Something of a tunnel was changed/)
  })

  it('finds out by itself what it was not told', async (t) => {
    await using machine = await fakeMachine()
    const { tunnels, watch } = watching(machine)
    await using _ = watch
    await tunnels.up(1, t.signal)
    machine.host.tell = () => {}
    await flap(machine.host, t.signal)
    await machine.clock.advance(14_000)
    assert.equal((await tunnels.status(1, t.signal)).isUp, false)
    await machine.clock.advance(2_000)
    assert.equal((await tunnels.status(1, t.signal)).isUp, true)
  })

  it('does not bring up what was taken down, nor touch what it was never asked for', async (t) => {
    await using machine = await fakeMachine()
    const { tunnels, watch } = watching(machine)
    await using _ = watch
    await tunnels.up(1, t.signal)
    await tunnels.down(1, t.signal)
    const { length } = machine.host.changes
    machine.host.tell('wg-tor01 wg-tor02')
    await machine.clock.advance(60_000)
    assert.equal(machine.host.changes.length, length)
  })

  it('takes no more than a look a second when somebody takes away what it makes, and complains once', async (t) => {
    await using machine = await fakeMachine()
    const { tunnels, watch, lines } = watching(machine)
    await using _ = watch
    await tunnels.up(1, t.signal)
    await flap(machine.host, t.signal)
    let tries = 0
    machine.host.refuse = (command) => {
      if (command.includes('route replace default')) tries++
      machine.host.tell('wg-tor01')
      return 'RTNETLINK answers: Device or resource busy'
    }
    await machine.clock.advance(10_000)
    assert.ok(tries > 3 && tries <= 3 * 11, `${tries}`)
    assert.equal(lines.filter((line) => line.includes('Device or resource busy')).length, 1)
  })
})

function watching(machine: FakeMachine): { tunnels: HostTunnels; watch: TunnelWatch; lines: string[] } {
  const lines: string[] = []
  const logger = createLogger('info', { write: (line) => void lines.push(line) })
  const tunnels = new HostTunnels(machine)
  return { tunnels, watch: new TunnelWatch(tunnels, { ...machine, logger }), lines }
}

async function flap(host: FakeHost, signal: AbortSignal): Promise<void> {
  for (const state of ['down', 'up']) {
    await host.run({ program: 'ip', args: ['link', 'set', 'dev', 'wg-tor01', state] }, signal)
  }
}

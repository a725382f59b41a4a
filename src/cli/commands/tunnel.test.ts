import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { systemClock } from '../../lib/clock.ts'
import { silentLogger } from '../../lib/log.ts'
import { TunnelServer } from '../../tunnel/helper/serve.ts'
import { type FakeMachine, fakeMachine } from '../../tunnel/test-tunnels.ts'
import type { CliParts } from '../parts.ts'
import { tunnelCommand } from './tunnel.ts'

describe('cbtor tunnel', { timeout: 20_000 }, () => {
  it('brings tunnels up by the helper that serves, shows them, and takes them down', async (t) => {
    await using machine = await fakeMachine()
    await using _ = await serving(machine, t.signal)
    assert.deepEqual(await cli(machine, t.signal, 'up', 'tor02'), {
      out: 'The tunnel to tor02 is up\n',
      err: '',
      failure: undefined,
    })
    const status = await cli(machine, t.signal, 'status')
    assert.equal(
      status.out,
      `${[
        'box    interface  up   handshake  received  sent   route  kill switch  rule  lock',
        'tor01  wg-tor01   NO   never      0 B       0 B    NO     NO           NO    NO',
        'tor02  wg-tor02   yes  0 s ago    92 B      148 B  yes    yes          yes   yes',
        'tor01: There is no interface wg-tor01; bring it up with: cbtor tunnel up tor01',
      ].join('\n')}\n`,
    )
    assert.equal(status.failure, 'Something is wrong with 1 of 2 tunnels')
    assert.equal(
      (await cli(machine, t.signal, 'reconnect')).out,
      'The tunnel to tor01 is connected\nThe tunnel to tor02 is connected\n',
    )
    const { out, failure } = await cli(machine, t.signal, 'status', '--json')
    assert.equal(failure, undefined)
    assert.deepEqual(JSON.parse(out)[0], {
      box: 'tor01',
      tunnel: 1,
      interface: 'wg-tor01',
      is_up: true,
      handshake_age_ms: 0,
      rx_bytes: 92,
      tx_bytes: 148,
      kill_switch: true,
      default_route: true,
      rule: true,
      lock: true,
      problems: [],
    })
    await cli(machine, t.signal, 'down')
    assert.equal(machine.host.links.size, 0)
  })

  it('does what can be done, and says what could not', async (t) => {
    await using machine = await fakeMachine()
    await using _ = await serving(machine, t.signal)
    machine.host.refuse = (command) => (command.includes('wg-tor01') ? 'RTNETLINK answers: busy' : undefined)
    const { out, err, failure } = await cli(machine, t.signal, 'up')
    assert.equal(out, 'The tunnel to tor02 is up\n')
    assert.match(err, /^tor01: Cannot change tunnel 1: .*busy\n$/)
    assert.equal(failure, '1 of 2 could not be done')
  })

  it('says which boxes there are', async (t) => {
    await using machine = await fakeMachine()
    assert.match(
      (await cli(machine, t.signal, 'up', 'tor09')).failure ?? '',
      /^There is no box "tor09" in .*; there are tor01, tor02$/,
    )
    await using empty = await fakeMachine([])
    assert.match(
      (await cli(empty, t.signal, 'status')).failure ?? '',
      /^There is no box in .*boxes; make one a worker with: cbtor workers install$/,
    )
  })

  it('prints a configuration for another tool, with the key only when asked', async (t) => {
    await using machine = await fakeMachine()
    const without = await cli(machine, t.signal, 'config', 'tor01', '--for', 'wg-quick')
    assert.match(without.out, /^PrivateKey = <the private key: cbtor tunnel config tor01 --with-keys>$/m)
    const withKeys = await cli(machine, t.signal, 'config', 'tor01', '--for', 'systemd-networkd', '--with-keys')
    assert.match(withKeys.out, /^PrivateKey=QCXB/m)
    assert.match(
      (await cli(machine, t.signal, 'config', 'tor01', '--for', 'x')).failure ?? '',
      /Allowed choices are wg-quick, systemd-networkd, netifd/,
    )
  })

  it('serves nobody of a group that there is not', async (t) => {
    await using machine = await fakeMachine()
    assert.match(
      (await cli(machine, t.signal, 'serve', '--group', 'no such group')).failure ?? '',
      /There is no such group/,
    )
  })
})

async function serving(machine: FakeMachine, signal: AbortSignal): Promise<TunnelServer> {
  const options = { ...machine, socketPath: join(machine.state, 'tunnel.sock'), keep: false, logger: silentLogger }
  return await TunnelServer.start(options, signal)
}

interface Transcript {
  readonly out: string
  readonly err: string
  readonly failure: string | undefined
}

async function cli({ state }: FakeMachine, signal: AbortSignal, verb: string, ...args: string[]): Promise<Transcript> {
  const text = { out: '', err: '' }
  const output = (name: keyof typeof text) => ({
    write: (chunk: string) => {
      text[name] += chunk
    },
  })
  const unused = async (): Promise<never> => {
    throw new Error('The tunnel command needs none')
  }
  const parts: CliParts = {
    env: {},
    out: output('out'),
    err: output('err'),
    clock: systemClock,
    signal,
    createService: unused,
    createTestNetwork: unused,
  }
  const command = tunnelCommand(parts)
  for (const part of [command, ...command.commands]) part.exitOverride().configureOutput({ writeErr: () => {} })
  try {
    await command.parseAsync([verb, ...args, '--state', state], { from: 'user' })
    return { ...text, failure: undefined }
  } catch (error) {
    return { ...text, failure: error instanceof Error ? error.message : String(error) }
  }
}

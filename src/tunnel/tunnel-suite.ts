import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Clock } from '../lib/clock.ts'
import { TunnelError } from './errors.ts'
import type { Host, HostCommand } from './host.ts'
import { observe } from './observed.ts'
import { type TunnelSpec, tunnelNames } from './spec.ts'
import { bringUp, lookUp, reconnect, takeDown } from './tunnel.ts'

/** A machine with nothing of the tunnel on it, and a box that answers. Disposing it leaves nothing. */
export interface TunnelLab extends AsyncDisposable {
  readonly host: Host
  readonly clock: Clock
  readonly spec: TunnelSpec
  /** Every how many steps it is killed half-way: 1 where a step costs nothing. */
  readonly stride: number
}

const NOTHING = {
  link: undefined,
  wireguard: undefined,
  defaultRoute: false,
  killSwitch: false,
  rule: false,
  identityRanges: [],
  lock: false,
  strangers: [],
}

/** What a tunnel promises on any machine: the made-up one and the real one pass the same. */
export function tunnelSuite(name: string, createLab: () => Promise<TunnelLab>): void {
  describe(`a tunnel on ${name}`, { timeout: 60_000 }, () => {
    it('comes up, what keeps packets in first, and needs nothing done when it is up', async (t) => {
      await using lab = await createLab()
      const deeds = await bringUp(lab.spec, lab, t.signal)
      const at = (start: string) => deeds.findIndex((deed) => deed.startsWith(start))
      const order = [
        'nft: the lock',
        'ip -4 route replace unreachable',
        'ip -4 rule add',
        'make',
        'ip -4 addr',
        'ip -4 route replace local',
      ]
      assert.deepEqual(
        order.map(at),
        order.map(at).sort((a, b) => a - b),
      )
      assert.ok(!order.map(at).includes(-1), deeds.join('\n'))
      assert.match(deeds.at(-1) ?? '', /route replace default dev wg-tor/)
      assert.deepEqual(await bringUp(lab.spec, lab, t.signal), [])
      await reconnect(lab.spec, lab, t.signal)
      const { handshakeAgeMs = Number.NaN, rxBytes, txBytes, ...status } = await lookUp(lab.spec, lab, t.signal)
      assert.deepEqual(status, {
        isUp: true,
        killSwitch: true,
        defaultRoute: true,
        rule: true,
        lock: true,
        problems: [],
      })
      assert.ok(
        handshakeAgeMs < 10_000 && rxBytes > 0 && txBytes > 0,
        JSON.stringify({ handshakeAgeMs, rxBytes, txBytes }),
      )
    })

    it('tells what is missing, and mends it', async (t) => {
      await using lab = await createLab()
      const { interfaceName: dev, table, subnet, hostAddress, lockTable, id, n } = lab.spec
      const up = `mend it with: cbtor tunnel up ${id}`
      const harm: readonly (readonly [string, RegExp])[] = [
        [
          `nft delete table inet ${lockTable}`,
          /^The egress lock, .*missing or incomplete; mend it with: cbtor tunnel up/,
        ],
        [`ip route del unreachable default metric 4278198272 table ${table}`, /^The kill switch, .*is missing; mend/],
        [
          `ip rule del pref ${table}`,
          new RegExp(`^The rule that sends ${subnet} to table ${table} is missing; ${up}$`),
        ],
        [`ip route del default dev ${dev} table ${table}`, new RegExp(`^The route into ${dev} is missing, .*; ${up}$`)],
        [`ip route del local 10.201.${n}.64/26 table local`, new RegExp(`^${dev} lacks addresses out of ${subnet}`)],
        [`ip addr del ${hostAddress}/24 dev ${dev}`, new RegExp(`^${dev} lacks addresses out of ${subnet}`)],
        [`ip link set dev ${dev} down`, new RegExp(`^${dev} is down, so packets to box ${id} are refused; ${up}$`)],
        [`wg set ${dev} listen-port 7`, new RegExp(`^${dev} has another configuration than the box file; ${up}$`)],
        [
          `ip link del dev ${dev}`,
          new RegExp(`^There is no interface ${dev}; bring it up with: cbtor tunnel up ${id}$`),
        ],
      ]
      await reconnect(lab.spec, lab, t.signal)
      for (const [command, expected] of harm) {
        await run(lab.host, command, t.signal)
        const { problems } = await lookUp(lab.spec, lab, t.signal)
        assert.match(problems[0] ?? '', expected, command)
        assert.notDeepEqual(await bringUp(lab.spec, lab, t.signal), [], command)
        const again = await lookUp(lab.spec, lab, t.signal)
        assert.deepEqual(
          again.problems.filter((problem) => !/has not answered yet/.test(problem)),
          [],
          command,
        )
        assert.ok(again.isUp, command)
      }
    })

    it('is mended after it was left half-way, up or down', async (t) => {
      await using lab = await createLab()
      const ways = [bringUp, takeDown]
      for (const [index, way] of ways.entries()) {
        for (let steps = 0; ; steps += lab.stride) {
          await (index === 0 ? takeDown : bringUp)(lab.spec, lab, t.signal)
          const half = { ...lab, host: dyingAfter(steps, lab.host) }
          const isDone = await way(lab.spec, half, t.signal).then(
            () => true,
            (error) => {
              assert.match(String(error), /killed/)
              return false
            },
          )
          await bringUp(lab.spec, lab, t.signal)
          assert.deepEqual(await bringUp(lab.spec, lab, t.signal), [])
          if (isDone) break
        }
      }
    })

    it('goes without a trace, and nothing is wrong with going twice', async (t) => {
      await using lab = await createLab()
      await bringUp(lab.spec, lab, t.signal)
      await takeDown(lab.spec, lab, t.signal)
      assert.deepEqual(await observe(lab.spec, lab.host, t.signal), NOTHING)
      await takeDown(lab.spec, lab, t.signal)
      const { problems, isUp } = await lookUp(lab.spec, lab, t.signal)
      assert.deepEqual([problems.length, isUp], [1, false])
    })

    it('goes also when the box file is gone', async (t) => {
      await using lab = await createLab()
      await bringUp(lab.spec, lab, t.signal)
      await takeDown(tunnelNames(lab.spec.n), lab, t.signal)
      assert.deepEqual(await observe(lab.spec, lab.host, t.signal), NOTHING)
    })

    it('leaves alone what is not ours', async (t) => {
      await using lab = await createLab()
      const { table, n } = lab.spec
      const other = { ...lab.spec, id: 'other' }
      const cases: readonly (readonly [string, RegExp, string])[] = [
        [
          `ip rule add pref ${table} from 192.0.2.0/24 lookup ${table}`,
          /"rule \d+ from 192.0.2.0\/24/,
          `ip rule del pref ${table}`,
        ],
        [
          `ip route add default dev lo table ${table}`,
          /"unicast default dev lo table|"default dev lo table/,
          `ip route del default dev lo table ${table}`,
        ],
      ]
      for (const [make, expected, remove] of cases) {
        await run(lab.host, 'ip link set dev lo up', t.signal, true)
        await run(lab.host, make, t.signal)
        const before = await observe(lab.spec, lab.host, t.signal)
        for (const way of [bringUp, takeDown]) {
          await assert.rejects(way(lab.spec, lab, t.signal), foreign(expected))
        }
        assert.deepEqual(await observe(lab.spec, lab.host, t.signal), before)
        await run(lab.host, remove, t.signal)
      }

      await bringUp(other, lab, t.signal)
      const why = new RegExp(`is the tunnel to box other, which has the number ${n} as well.*another --tunnel`)
      for (const way of [bringUp, takeDown]) await assert.rejects(way(lab.spec, lab, t.signal), foreign(why))
      assert.match((await lookUp(lab.spec, lab, t.signal)).problems[0] ?? '', why)
      assert.deepEqual(await bringUp(other, lab, t.signal), [])
      await takeDown(other, lab, t.signal)
    })

    it('leaves an interface alone that CBTOR did not make', async (t) => {
      await using lab = await createLab()
      const { interfaceName } = lab.spec
      await bringUp(lab.spec, lab, t.signal)
      await run(lab.host, `ip link set dev ${interfaceName} alias theirs`, t.signal)
      const stranger = { ...lab.spec, privateKey: Buffer.alloc(32, 8).toString('base64') }
      for (const way of [bringUp, takeDown, reconnect]) {
        await assert.rejects(
          way(stranger, lab, t.signal),
          foreign(/the interface wg-tor\d+ was not made by CBTOR: remove it \(ip link del wg-tor/),
        )
      }
      // With our keys in it, another tool has made it from what `cbtor tunnel config` prints.
      assert.deepEqual(await bringUp(lab.spec, lab, t.signal), [])
      await assert.rejects(takeDown(lab.spec, lab, t.signal), foreign(/another tool made wg-tor/))
      await run(lab.host, `ip link del dev ${interfaceName}`, t.signal)
      await takeDown(lab.spec, lab, t.signal)
    })
  })
}

function foreign(message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof TunnelError && error.fault === 'foreign', String(error))
    assert.match(error.message, message)
    return true
  }
}

/** Carries out that many changes, and then none any more, as if the program had been killed. */
function dyingAfter(steps: number, host: Host): Host {
  let left = steps
  const spend = () => {
    if (left-- <= 0) throw new Error('killed')
  }
  return {
    async run(command, signal) {
      if (!/\b(?:show|list|get)\b/.test(command.args.join(' '))) spend()
      return await host.run(command, signal)
    },
    async startWireguard(name, signal) {
      spend()
      await host.startWireguard(name, signal)
    },
    endWireguard: (name) => host.endWireguard(name),
    onChange: (listener) => host.onChange(listener),
  }
}

async function run(host: Host, line: string, signal: AbortSignal, mayFail = false): Promise<void> {
  const [program = '', ...args] = line.split(' ')
  const { code, stderr } = await host.run({ program: program as HostCommand['program'], args }, signal)
  assert.ok(code === 0 || mayFail, `${line}: ${stderr}`)
}

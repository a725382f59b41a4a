/**
 * Whatever becomes of tunnels and boxes under load, no packet to a target and no question for a name leaves the host or a box in
 * clear. Run it as real root in an empty network namespace: `unshare --net node --test test/openwrt/box-leaks.test.ts`. Two
 * minutes; needs no internet. `BOX_LEAK_REQUESTS=10000` goes on for so many requests.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { ApiProblem } from '../../src/client/client.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { TestBox } from '../../src/testnet/boxes/box.ts'
import { TunnelHelperClient } from '../../src/tunnel/helper/client.ts'
import { socketOfService } from '../../src/tunnel/helper/protocol.ts'
import { tunnelNames } from '../../src/tunnel/spec.ts'
import { eventually } from '../asking.ts'
import { type BoxService, createBoxService } from './box-service.ts'
import { knock } from './rack-host.ts'
import { LeakWatch } from './rack-leaks.ts'
import { feed, RouterWatch } from './rack-router-watch.ts'

const REQUESTS = Number(process.env.BOX_LEAK_REQUESTS ?? 400)
const AT_A_TIME = 12
const PAUSE_MS = 100
const HOLD_MS = 2_500
const WELL_WITHIN_MS = 120_000
const never = new AbortController().signal

type Ask = Parameters<BoxService['api']['fetch']>[0]

/** What is asked for, and the problems that are right answers to it; none: an answer of the target. */
interface Case {
  readonly kind: string
  readonly ask: Ask
  readonly problems?: readonly string[]
}

describe('With four boxes', { timeout: 1_800_000 }, () => {
  let lab: BoxService
  let host: LeakWatch
  let router: RouterWatch
  const tally = new Map<string, number>()

  before(async () => {
    lab = await createBoxService()
    const boxes = lab.rack.boxes.map(({ address }) => address)
    host = await LeakWatch.start({ boxes, directory: lab.state })
    router = await RouterWatch.start(lab.rack.onRouter([]), boxes)
  })
  after(async () => {
    await router?.[Symbol.asyncDispose]()
    await host?.[Symbol.asyncDispose]()
    await lab?.[Symbol.asyncDispose]()
  })

  it('nothing leaks while tunnels, routes, firewalls and the helper are lost and come back', async (t) => {
    const faults = faultsOf(lab)
    const load = { sent: 0, isOver: false }
    const senders = Array.from({ length: AT_A_TIME }, () => send(load))
    let injected = 0
    try {
      while (load.sent < REQUESTS || injected < faults.length) {
        const [name, fault] = faults[injected % faults.length] ?? assert.fail()
        const box = lab.rack.box(1 + (injected % lab.rack.boxes.length))
        await fault(box).catch((cause: unknown) => {
          throw new Error(`Cannot inject "${name}" at box ${box.n}`, { cause })
        })
        injected++
        // One fault at a time: what is lost with two has no firewall any more that could keep it in.
        await eventually(() => serves(box), WELL_WITHIN_MS)
      }
    } finally {
      load.isOver = true
      await Promise.all(senders)
      const counts = { host: await host.counts(), router: await router.counts() }
      t.diagnostic(`${load.sent} requests, ${injected} faults: ${JSON.stringify(counts)}`)
      for (const [what, count] of [...tally].sort()) t.diagnostic(`${String(count).padStart(6)} × ${what}`)
    }
    await nothingLeaked()
    // It was not silence that leaked nothing: both ways through the tunnels were in use.
    const counted = [...tally].map(([what]) => what)
    for (const route of ['transparent', 'socks'])
      assert.ok(
        counted.some((what) => what.includes(`by ${route}`)),
        route,
      )
    assert.equal(
      sum((what) => what.startsWith('private: FAILED')),
      0,
    )
    // Three boxes are well at any time. Which answer a target that fails got is another test's matter.
    const failed = sum((what) => /^(?!private|refused|unknown).*: FAILED/.test(what))
    assert.ok(failed <= load.sent / 50, `${failed} of ${load.sent} requests failed`)
    assert.ok((await host.counts()).allowed > 0)
  })

  it('a packet in clear would have been seen', async () => {
    await knock('198.51.100.120', 80, 1_000)
    await lab.rack.box(1).exec('nc 198.51.100.120 80 </dev/null', '', 5_000)
    const { host_leaks = 0, box_leaks = 0 } = await router.counts()
    assert.ok((await host.counts()).leaks > 0)
    for (const from of ['192.0.2.2.', '192.0.2.11.'])
      await eventually(async () => router.offenders.some((line) => line.includes(`IP ${from}`)))
    assert.ok(host_leaks > 0 && box_leaks > 0, `${host_leaks} from the host, ${box_leaks} from the box`)
  })

  async function nothingLeaked(): Promise<void> {
    assert.deepEqual([await host.offenders(), router.offenders], [[], []])
    assert.deepEqual({ ...(await host.counts()), allowed: 0 }, { allowed: 0, dns: 0, leaks: 0 })
    assert.deepEqual(await router.counts(), { host_dns: 0, host_leaks: 0, box_dns: 0, box_leaks: 0 })
  }

  async function send(load: { sent: number; isOver: boolean }): Promise<void> {
    while (!load.isOver) {
      const { kind, ask, problems } = caseOf(lab, load.sent++)
      const outcome = await lab.api.fetch({ ...ask, timeout_ms: 30_000 }).then(
        ({ status, receipt }) =>
          problems === undefined && status === 200 ? `ok by ${receipt.route}` : `FAILED: ${status}`,
        (error: unknown) => {
          if (!(error instanceof ApiProblem)) throw error
          const { code, attempts = [] } = error.problem
          if (problems?.includes(code)) return code
          return `FAILED: ${code}, as ${attempts.map((attempt) => `${attempt.outcome}`).join(', ')}`
        },
      )
      const what = `${kind}: ${outcome}`
      tally.set(what, (tally.get(what) ?? 0) + 1)
      await systemClock.sleep(PAUSE_MS)
    }
  }

  function sum(fits: (what: string) => boolean): number {
    return [...tally].reduce((total, [what, count]) => (fits(what) ? total + count : total), 0)
  }

  /** A worker whose health wavers is held down for a while, and is well all the same. */
  async function serves({ n }: TestBox): Promise<boolean> {
    const ask = { url: `${lab.network.urls.www}/ip`, worker: n, isolation: 'none', timeout_ms: 5_000 } as const
    return await lab.api.fetch(ask).then(
      () => true,
      () => false,
    )
  }
})

/** The `i`-th request of a mix. */
function caseOf({ network: { urls } }: BoxService, i: number): Case {
  const round = Math.floor(i / 10)
  const privates = [
    ...[
      '127.0.0.1',
      '10.0.0.1',
      '10.201.1.1:9051',
      '10.128.0.1',
      '192.168.1.1',
      '169.254.169.254',
      '[::1]',
      'localhost',
    ],
    ...['printer.local', 'router.home.arpa'],
  ]
  const bySecond = urls.check.replace('check.', `n${round % 100}.`)
  switch (i % 10) {
    case 0:
      return { kind: 'http', ask: { url: `${urls.www}/ip` } }
    case 1:
      return { kind: 'isolated', ask: { url: `${urls.www.replace('www.', `i${i}.`)}/ip`, isolation: 'request' } }
    case 2:
      return { kind: 'https', ask: { url: `${urls.httpsWww}/ip` } }
    case 3:
      return { kind: 'onion', ask: { url: `${urls.onion}/` } }
    case 4:
      return { kind: 'sticky', ask: { url: `${urls.www}/ip`, sticky_key: `key-${round % 50}` } }
    case 5:
      return { kind: 'address', ask: { url: 'http://198.51.100.120/ip' } }
    case 6:
      return { kind: 'unknown name', ask: { url: urls.nowhere, isolation: 'request' }, problems: ['resolve_failed'] }
    case 7:
      return { kind: 'refused', ask: { url: urls.refused }, problems: ['connection_refused', 'tor_failure'] }
    case 8: {
      const host = privates[round % privates.length]
      const url = round % 2 === 0 ? `http://${host}/` : `${urls.www}/redirect-to?url=http://${host}/`
      return { kind: 'private', ask: { url }, problems: ['target_forbidden', 'redirect_forbidden'] }
    }
    default:
      return { kind: 'many names', ask: { url: `${bySecond}/ip` } }
  }
}

/** Each takes what it names away from one box's tunnel. What recovery is there for is left to it. */
function faultsOf({ state }: BoxService): readonly (readonly [name: string, act: (box: TestBox) => Promise<void>])[] {
  const tunnels = new TunnelHelperClient({ socketPath: socketOfService(state), clock: systemClock })
  const hold = () => systemClock.sleep(HOLD_MS)
  const linkOf = ({ n }: TestBox) => tunnelNames(n).interfaceName
  const tableOf = ({ n }: TestBox) => `${tunnelNames(n).table}`
  const flap = async (box: TestBox) => {
    for (let times = 0; times < 5; times++) {
      await ip('link', 'set', linkOf(box), 'down')
      await systemClock.sleep(HOLD_MS / 10)
      await ip('link', 'set', linkOf(box), 'up')
      await systemClock.sleep(HOLD_MS / 10)
    }
  }
  return [
    ['the link goes down and up', flap],
    [
      'the tunnel is taken down',
      async ({ n }) => {
        await tunnels.down(n, never)
        await hold()
        await tunnels.up(n, never)
      },
    ],
    [
      'the default route is deleted',
      async (box) => ip('route', 'del', 'default', 'dev', linkOf(box), 'table', tableOf(box)),
    ],
    [
      'the kill switch is deleted, and the link goes down',
      async (box) => {
        await ip('route', 'del', 'unreachable', 'default', 'table', tableOf(box))
        await flap(box)
      },
    ],
    ['the rule is deleted', async (box) => ip('rule', 'del', 'pref', tableOf(box))],
    ['the rule set is flushed', flushRuleset],
    [
      'the helper is killed, and the link goes down',
      async (box) => {
        process.kill(helperPid(), 'SIGKILL')
        await flap(box)
      },
    ],
    [
      "the box's interface is deleted",
      async (box) => {
        await box.deleteWg()
        await hold()
        await box.restoreWg()
      },
    ],
    [
      // As it is for a moment when wg0 goes: its address is still there, and its route is not.
      "the box's route into the tunnel is deleted",
      async (box) => {
        const route = `10.201.${box.n}.0/24 dev wg0`
        await box.read(`ip route del ${route}`)
        await hold()
        await box.read(`ip route add ${route}`)
      },
    ],
    [
      "the box's firewall is dropped",
      async (box) => {
        await box.dropFirewall()
        await hold()
      },
    ],
    [
      "the box's firewall is dropped, and its wg0 forwards as one does that somebody else made",
      async (box) => {
        await box.dropFirewall()
        await box.read('echo 1 >/proc/sys/net/ipv4/conf/wg0/forwarding')
        await hold()
        await box.read('echo 0 >/proc/sys/net/ipv4/conf/wg0/forwarding')
      },
    ],
    ['the interface is deleted', async (box) => ip('link', 'del', linkOf(box))],
  ]
}

/** All but what counts leaks, which is put back with its counts in the same moment. */
async function flushRuleset(): Promise<void> {
  const { stdout } = await promisify(execFile)('nft', ['list', 'table', 'inet', 'cbtor_leaks'])
  await feed(['nft', '-f', '-'], `flush ruleset\n${stdout}`)
}

/** The tunnel helper that the service has started. */
function helperPid(): number {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim().split(' ')
  const pid = children.find((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('tunnel/helper/main'))
  if (pid === undefined) throw new Error('The tunnel helper does not run')
  return Number(pid)
}

async function ip(...args: readonly string[]): Promise<void> {
  await promisify(execFile)('ip', args)
}

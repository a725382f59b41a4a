import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { before, describe, it, type TestContext } from 'node:test'
import { ApiProblem } from '../../src/client/client.ts'
import { each, eventually } from '../asking.ts'
import type { Gateway } from './gateway.ts'
import { type LeakLab, sharedLab, WORKERS } from './leak-lab.ts'
import { askOver, connectBy, forwardBy, socksBy } from './port-client.ts'

/** What fails is told; how soon, and how seldom, are other tests' matters (`test/integration/heal.test.ts`). */
const REQUESTS = Number(process.env.LEAK_REQUESTS ?? 600)
const AT_A_TIME = 16
const HOLD_MS = 1_500
const WELL_WITHIN_MS = 120_000

describe('faults', { timeout: 3_600_000 }, () => {
  let lab: LeakLab
  let gateway: Gateway
  /** Their clients' numbers, by which they are cut off. */
  let clients: readonly number[]
  before(async () => {
    ;({ lab } = await sharedLab())
    clients = WORKERS.map((_, index) => index + 1)
    const own = clients.values()
    gateway = await lab.gateway({ workers: lab.localWorkers(WORKERS.length, [], () => own.next().value ?? 0) })
  })

  it(`L5, L7: ${REQUESTS} requests while workers are killed, frozen and cut off: nothing goes around Tor`, async (t) => {
    const watch = await lab.watch()
    const load = { sent: 0, isOver: false, tally: new Map<string, number>() }
    const senders = Array.from({ length: AT_A_TIME }, () => send(load))
    const told: string[] = []
    let faults = 0
    try {
      while (load.sent < REQUESTS || faults < FAULTS.length) {
        const [name, inject, end] = FAULTS[faults % FAULTS.length] ?? assert.fail()
        const victims = name.startsWith('all') ? [0, 1, 2, 3] : [faults % WORKERS.length]
        await Promise.all(victims.map((n) => inject(n).catch(() => {})))
        await new Promise((resolve) => setTimeout(resolve, HOLD_MS))
        told.push(...planted())
        await Promise.all(victims.map((n) => end(n)))
        faults++
        await eventually(async () => (await gateway.api.health()).receiving_traffic === WORKERS.length, WELL_WITHIN_MS)
      }
    } finally {
      load.isOver = true
      await Promise.all(senders)
    }
    report(t, load, faults, await lab.outside.counts())
    await watch.nothingLeaked()
    // Names come to be known to children by their arguments or environment alone, as they share no memory with us.
    assert.deepEqual(told, [])
    assert.ok((load.tally.get('ok') ?? 0) > load.sent / 5, 'it was not silence that leaked nothing')
    // What an exit was asked for was asked by Tor; every name was one of ours.
    const strange = (await watch.namesAtExits()).filter(
      (name) => !/^(?:l5-|check\.|www\.|refused\.|nowhere\.)/.test(name),
    )
    assert.deepEqual(strange, [])
  })

  it('L5: with no worker left, every request is refused, and none goes out', async () => {
    for (const id of WORKERS) await gateway.api.stopTor(id)
    const watch = await lab.watch()
    const codes = await each(100, AT_A_TIME, async (n) => {
      const url = `${n % 2 === 0 ? 'http' : 'https'}://l5-none-${n}.cbtor.test/`
      return await gateway.api.fetch({ url }).then(
        () => 'answered',
        (error) => `${error.problem.status} ${error.problem.code}`,
      )
    })
    assert.deepEqual([...new Set(codes)], ['503 no_worker'])
    assert.equal((await connectBy(gateway, 'l5-none.cbtor.test:443')).code, 503)
    assert.notEqual((await socksBy(gateway, 'l5-none.cbtor.test', 443)).code, 0)
    assert.equal((await forwardBy(gateway, 'http://l5-none.cbtor.test/')).status, 503)
    assert.deepEqual(
      (await watch.namesAtExits()).filter((name) => name.startsWith('l5-none')),
      [],
    )
    await watch.nothingLeaked()
    await gateway[Symbol.asyncDispose]()
  })

  type Fault = readonly [name: string, inject: (n: number) => Promise<void>, end: (n: number) => Promise<void>]
  const nothing = async () => {}
  const signal = (name: NodeJS.Signals) => async (n: number) => {
    process.kill(await gateway.pidOf(WORKERS[n] ?? ''), name)
  }
  const cut = (isDark: boolean) => async (n: number) => lab.network.blackhole(clients[n] ?? 0, isDark)
  const order = (what: 'stopTor' | 'startTor' | 'restartTor') => async (n: number) => {
    await gateway.api[what](WORKERS[n] ?? '')
  }
  const FAULTS: readonly Fault[] = [
    ['killed', signal('SIGKILL'), nothing],
    ['frozen', signal('SIGSTOP'), nothing],
    ['cut off', cut(true), cut(false)],
    ['restarted', order('restartTor'), nothing],
    ['stopped', order('stopTor'), order('startTor')],
    ['all killed', signal('SIGKILL'), nothing],
    ['all cut off', cut(true), cut(false)],
    ['all frozen', signal('SIGSTOP'), nothing],
  ]

  async function send(load: { sent: number; isOver: boolean; tally: Map<string, number> }): Promise<void> {
    while (!load.isOver) {
      const n = load.sent++
      const what = await (n % 3 === 2 ? byPort(n) : byApi(n))
      load.tally.set(what, (load.tally.get(what) ?? 0) + 1)
      // Whoever is refused at once does not ask again at once.
      if (what !== 'ok') await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  async function byApi(n: number): Promise<string> {
    return await gateway.api.fetch({ ...ask(n), timeout_ms: 20_000 }).then(
      ({ status }) => (status === 200 ? 'ok' : `status ${status}`),
      (error: unknown) => {
        if (error instanceof ApiProblem) return error.problem.code
        throw error
      },
    )
  }

  /** Whatever becomes of a tunnel that breaks, it is not more than an end. */
  async function byPort(n: number): Promise<string> {
    const host = n % 4 === 0 ? new URL(lab.network.urls.onion).hostname : `l5-${n}.cbtor.test`
    if (n % 2 === 0) {
      const { status } = await forwardBy(gateway, `http://${host}/ip`)
      return status === 200 ? 'ok' : `http port: ${status || 'ended'}`
    }
    const isSocks = n % 4 === 1
    const { code, socket } = await (isSocks ? socksBy(gateway, host, 80) : connectBy(gateway, `${host}:80`))
    if (code !== (isSocks ? 0 : 200)) return `${isSocks ? 'SOCKS' : 'CONNECT'}: ${code || 'ended'}`
    const { status } = await askOver(socket, host, '/ip')
    return status === 200 ? 'ok' : 'tunnel: ended'
  }

  function ask(n: number) {
    const { urls } = lab.network
    switch (n % 8) {
      case 0:
        return { url: `http://l5-${n}.cbtor.test/ip`, isolation: 'request' } as const
      case 1:
        return { url: `https://l5-${n % 800}.cbtor.test/ip` }
      case 2:
        return { url: `${urls.onion}/ip` }
      case 3:
        return { url: `${urls.www}/ip`, sticky_key: `l5-${n % 40}` }
      case 4:
        return { url: `http://l5-${n}.nowhere-at-all.example/`, isolation: 'request' } as const
      case 5:
        return { url: `${urls.refused}/` }
      case 6:
        return { url: `http://l5-${n % 100}.cbtor.test/redirect-to?url=${urls.onion}/ip` }
      default:
        return { url: 'http://198.51.100.120/ip', isolation: 'request' } as const
    }
  }

  /** Targets on the command line or in the environment of any process here. */
  function planted(): string[] {
    return readdirSync('/proc').flatMap((pid) => {
      if (!/^\d+$/.test(pid)) return []
      try {
        const text = `${readFileSync(`/proc/${pid}/cmdline`, 'latin1')}\n${readFileSync(`/proc/${pid}/environ`, 'latin1')}`
        return /\bl5-\d/.test(text) ? [text.replaceAll('\0', ' ')] : []
      } catch {
        return []
      }
    })
  }

  function report(
    t: TestContext,
    { sent, tally }: { sent: number; tally: ReadonlyMap<string, number> },
    faults: number,
    { tried, left, arrived }: { tried: number; left: number; arrived: number },
  ): void {
    const outcomes = [...tally].sort(([, a], [, b]) => b - a).map(([what, count]) => `${count} × ${what}`)
    t.diagnostic(
      `figure: ${sent} requests, ${faults} faults of workers (killed, frozen, cut off, restarted, stopped, one and all): packets outside Tor ${tried} tried, ${left} sent, ${arrived} arrived; DNS queries outside Tor ${lab.resolver.names.length}; ${outcomes.join(', ')}`,
    )
  }
})

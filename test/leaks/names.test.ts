import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { each, problemOf } from '../asking.ts'
import type { Gateway } from './gateway.ts'
import { type LeakLab, NOT_ON_THE_INTERNET, sharedLab } from './leak-lab.ts'

const NAMES = 200
const AT_A_TIME = 8

describe('names', { timeout: 600_000 }, () => {
  let lab: LeakLab
  let gateway: Gateway
  let onion: string
  before(async () => {
    ;({ lab, gateway } = await sharedLab())
    onion = new URL(lab.network.urls.onion).hostname
  })

  it('L1: 200 names by http and https are asked of exits, once each, and of nobody here', async () => {
    const watch = await lab.watch()
    const names = Array.from({ length: NAMES }, (_, n) => `l1-${n}.cbtor.test`)
    await each(NAMES, AT_A_TIME, async (n) => {
      const scheme = n % 2 === 0 ? 'http' : 'https'
      const { status } = await gateway.api.fetch({ url: `${scheme}://${names[n]}/ip` })
      assert.equal(status, 200)
    })
    const asked = (await watch.namesAtExits()).filter((name) => name.startsWith('l1-'))
    assert.deepEqual(asked.sort(), names.sort())
    await watch.nothingLeaked()
  })

  it('L1: names that lead nowhere are asked of exits alone, too', async () => {
    const watch = await lab.watch()
    const { code } = await problemOf(gateway.api.fetch({ url: 'http://l1.nowhere-at-all.example/' }))
    assert.equal(code, 'resolve_failed')
    assert.ok((await watch.namesAtExits()).includes('l1.nowhere-at-all.example'))
    await watch.nothingLeaked()
  })

  it('L3: an onion address is the same with a trailing dot, in capitals and behind a redirect, and no exit hears of it', async () => {
    const watch = await lab.watch()
    const mark = gateway.circuits.streams.length
    const { www } = lab.network.urls
    const urls = [
      `http://${onion}./ip`,
      `http://${onion.toUpperCase()}/ip`,
      `http://${onion.replace('.onion', '.ONION.')}/ip`,
      `http://${onion.replace('.onion', '。onion')}/ip`,
      `${www}/redirect-to?url=http://${onion}./ip`,
      `${www}/redirect-to?url=//${onion}./ip`,
    ]
    for (const url of urls) {
      const answer = await gateway.api.fetch({ url })
      assert.deepEqual([answer.status, answer.receipt.exit], [200, null], url)
    }
    await gateway.circuits.settle()
    const hosts = new Set(gateway.circuits.since(mark).map(({ host }) => host))
    assert.ok(hosts.has(onion))
    assert.deepEqual(
      [...hosts].filter((host) => /onion/i.test(host) && host !== onion),
      [],
    )
    await noOnionAtExits(watch)
  })

  it('L4: a name that looks like an onion is an onion, a clearnet name or refused, and nothing in between', async () => {
    const label = onion.replace('.onion', '')
    /** Refused with a code, or what exits are asked for. */
    const cases: readonly (readonly [url: string, outcome: string])[] = [
      [`http://${onion}.cbtor.test/ip`, `${onion}.cbtor.test`],
      ['http://l4-a.onion%2ecbtor.test/ip', 'l4-a.onion.cbtor.test'],
      ['http://l4-b.onion。cbtor．test/ip', 'l4-b.onion.cbtor.test'],
      ['http://l4-c-onion.cbtor.test/ip', 'l4-c-onion.cbtor.test'],
      [`http://${label}%2eonion./ip`, 'served as an onion'],
      [`http://sub.${onion}/ip`, 'served as an onion'],
      [`http://${onion}../ip`, 'host_invalid'],
      [`http://${label}..onion/ip`, 'host_invalid'],
      [`http://${label.slice(1)}.onion/ip`, 'onion_address_invalid'],
      [`http://${label}a.onion/ip`, 'onion_address_invalid'],
      ['http://duckduckgogg42xj.onion/ip', 'onion_address_invalid'],
      [`http://${label.replace(/^./, (first) => (first === 'a' ? 'b' : 'a'))}.onion/ip`, 'onion_address_invalid'],
      ['http://onion/ip', 'target_forbidden'],
      ['http://onion./ip', 'target_forbidden'],
      [`http://${label}.onion%00.cbtor.test/ip`, 'host_invalid'],
      [`http://www.cbtor.test@${label}.onion./ip`, 'url_userinfo'],
      ['http://x.exit/ip', 'host_invalid'],
      ['http://www.cbtor.test.0123456789abcdef0123456789abcdef01234567.exit/ip', 'host_invalid'],
    ]
    for (const [url, outcome] of cases) {
      const watch = await lab.watch()
      const seen = await gateway.api.fetch({ url, isolation: 'request' }).then(
        ({ receipt }) => (receipt.exit === null ? 'served as an onion' : 'served'),
        (error) => error.problem.code,
      )
      const atExits = (await watch.namesAtExits()).filter((name) => !name.startsWith('check.'))
      if (seen === 'served') assert.deepEqual(atExits, [outcome], url)
      else assert.deepEqual([seen, atExits], [outcome, []], url)
      await watch.nothingLeaked()
    }
  })

  const environments: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'with proxies': {
      HTTP_PROXY: 'http://192.0.2.1:3128',
      HTTPS_PROXY: 'http://192.0.2.1:3128',
      ALL_PROXY: 'socks5://192.0.2.1:1080',
      http_proxy: 'http://192.0.2.1:3128',
      https_proxy: 'http://192.0.2.1:3128',
      all_proxy: 'socks5://192.0.2.1:1080',
      NODE_USE_ENV_PROXY: '1',
    },
    'without proxies, and with another resolver': {
      NO_PROXY: '*',
      no_proxy: '*',
      NODE_USE_ENV_PROXY: '1',
      NODE_OPTIONS: '--dns-result-order=ipv6first --no-network-family-autoselection',
      LOCALDOMAIN: 'leak.example',
      RES_OPTIONS: 'ndots:15',
    },
  }
  for (const [name, env] of Object.entries(environments)) {
    it(`L6: an environment ${name} changes no way`, async () => {
      await using other = await lab.gateway({ workers: lab.localWorkers(1), env })
      const watch = await lab.watch()
      const tag = Object.keys(env).length
      const names = Array.from({ length: 20 }, (_, n) => `l6-${tag}-${n}.cbtor.test`)
      await each(names.length, 4, async (n) => {
        const { status } = await other.api.fetch({ url: `${n % 2 === 0 ? 'http' : 'https'}://${names[n]}/ip` })
        assert.equal(status, 200)
      })
      await other.api.fetch({ url: `${lab.network.urls.onion}/ip` })
      const asked = (await watch.namesAtExits()).filter((asked) => asked.startsWith('l6-'))
      assert.deepEqual(asked.sort(), names.sort())
      await watch.nothingLeaked()
    })
  }

  it('L9: an IPv6 address and a name without an IPv4 address take no way around Tor', async () => {
    const watch = await lab.watch()
    const { code } = await problemOf(
      gateway.api.fetch({ url: 'http://[2a00:1450::1]/', isolation: 'request', timeout_ms: 20_000 }),
    )
    assert.ok(['no_usable_exit', 'exit_policy', 'tor_timeout', 'timeout', 'tor_failure'].includes(code), code)
    await problemOf(gateway.api.fetch({ url: 'http://nowhere.cbtor.test/', isolation: 'request' }))
    // Whose IPv4 address stands in an IPv6 one is still nobody on the internet.
    for (const host of ['[::ffff:198.51.100.120]', '[64:ff9b::c633:6478]', '[fe80::1]', '[2001:db8::1]'])
      assert.equal((await problemOf(gateway.api.fetch({ url: `http://${host}/` }))).code, 'target_forbidden', host)
    await watch.nothingLeaked()
  })

  it('L10: what a site says of other protocols is not followed, and nothing asks for it', async () => {
    const watch = await lab.watch()
    const header = encodeURIComponent('h3=":443"; ma=86400, h2="other.cbtor.test:443"')
    const url = `${lab.network.urls.httpsWww}/response-headers?Alt-Svc=${header}&l10`
    for (let n = 0; n < 4; n++) {
      const { status } = await gateway.api.fetch({ url, sticky_key: 'l10' })
      assert.equal(status, 200)
    }
    const seen = await watch.requests('l10')
    assert.deepEqual(
      seen.map(({ alpn, serverName }) => [alpn, serverName]),
      Array.from({ length: 4 }, () => ['http/1.1', 'www.cbtor.test']),
    )
    // A and AAAA: neither HTTPS (65) nor SVCB (64) nor SRV (33).
    for (const type of await watch.typesAtExits()) assert.ok(type === 1 || type === 28, `${type}`)
    await watch.nothingLeaked()
  })

  it('L44: addresses and names that are of no use on the internet reach no Tor', async () => {
    const mark = gateway.circuits.streams.length
    for (const host of NOT_ON_THE_INTERNET) {
      const { code, status } = await problemOf(gateway.api.fetch({ url: `http://${host}/` }))
      assert.deepEqual([code, status], ['target_forbidden', 403], host)
      const { www } = lab.network.urls
      const behind = await problemOf(gateway.api.fetch({ url: `${www}/redirect-to?url=http://${host}/` }))
      assert.equal(behind.code, 'redirect_forbidden', host)
    }
    await gateway.circuits.settle()
    const hosts = new Set(gateway.circuits.since(mark).map(({ host }) => host))
    assert.deepEqual(
      [...hosts].filter((host) => !host.endsWith('.cbtor.test') && !host.endsWith('.onion')),
      [],
    )
  })

  async function noOnionAtExits(watch: Awaited<ReturnType<LeakLab['watch']>>): Promise<void> {
    assert.deepEqual(
      (await watch.namesAtExits()).filter((name) => /onion/i.test(name)),
      [],
    )
    await watch.nothingLeaked()
  }
})

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { before, describe, it } from 'node:test'
import { each } from '../asking.ts'
import { hitsIn, STEM as PLANTED } from '../secrets/words.ts'
import type { Gateway } from './gateway.ts'
import { type LeakLab, NOT_ON_THE_INTERNET, sharedLab } from './leak-lab.ts'
import { askOver, connectBy, forwardBy, secured, socksBy } from './port-client.ts'

const IDENTITIES = 30
const ROUNDS = Number(process.env.LEAK_PORT_ROUNDS ?? 6)

describe('the proxy ports', { timeout: 600_000 }, () => {
  let lab: LeakLab
  let gateway: Gateway
  let ca: string
  let onion: string
  before(async () => {
    ;({ lab, gateway } = await sharedLab())
    ca = readFileSync(lab.network.caFile, 'utf8')
    onion = new URL(lab.network.urls.onion).hostname
  })

  /** The status of a page, by each way in turn. */
  async function ask(n: number, host: string, path: string, user?: string): Promise<number> {
    const by = user === undefined ? {} : { user }
    switch (n % 5) {
      case 0:
        return (await forwardBy(gateway, `http://${host}${path}`, by)).status
      case 1:
        return (await askOver((await connectBy(gateway, `${host}:80`, by)).socket, host, path)).status
      case 2:
        return (await askOver((await socksBy(gateway, host, 80, by)).socket, host, path)).status
      case 3: {
        const { socket } = await connectBy(gateway, `${host}:443`, by)
        return (await askOver(await secured(socket, host, ca), host, path)).status
      }
      default: {
        const { socket } = await socksBy(gateway, host, 443, by)
        return (await askOver(await secured(socket, host, ca), host, path)).status
      }
    }
  }

  it('L1: 100 names by HTTP, CONNECT and SOCKS are asked of exits, once each, and of nobody here', async () => {
    const watch = await lab.watch()
    const names = Array.from({ length: 100 }, (_, n) => `ports-${n}.cbtor.test`)
    const statuses = await each(names.length, 8, (n) => ask(n, names[n] ?? '', '/ip'))
    assert.deepEqual([...new Set(statuses)], [200])
    const asked = (await watch.namesAtExits()).filter((name) => name.startsWith('ports-'))
    assert.deepEqual(asked.sort(), names.sort())
    await watch.nothingLeaked()
  })

  it('L1: RESOLVE is answered by an exit', async () => {
    const watch = await lab.watch()
    const { code, address, socket } = await socksBy(gateway, 'ports-resolve.cbtor.test', 0, { command: 0xf0 })
    socket.destroy()
    assert.deepEqual([code, address.join('.')], [0, '198.51.100.120'])
    assert.ok((await watch.namesAtExits()).includes('ports-resolve.cbtor.test'))
    await watch.nothingLeaked()
  })

  it('L2: an address is what the client asked for: it goes to Tor, and nobody asks for its name', async () => {
    const watch = await lab.watch()
    for (const open of [() => socksBy(gateway, '198.51.100.120', 80), () => connectBy(gateway, '198.51.100.120:80')]) {
      const { socket } = await open()
      const { body } = await askOver(socket, 'www.cbtor.test', '/ip')
      assert.ok(lab.network.processes().some(({ role, address }) => role === 'exit' && address === JSON.parse(body).ip))
    }
    assert.deepEqual(
      (await watch.namesAtExits()).filter((name) => !name.startsWith('check.')),
      [],
    )
    await watch.nothingLeaked()
  })

  it('L3: an onion address with a trailing dot or in capitals is an onion by every port', async () => {
    const watch = await lab.watch()
    const mark = gateway.circuits.streams.length
    for (const host of [`${onion}.`, onion.toUpperCase(), `${onion.replace('.onion', '.ONION')}.`]) {
      const answers = [
        await askOver((await connectBy(gateway, `${host}:80`)).socket, onion, '/ip'),
        await askOver((await socksBy(gateway, host, 80)).socket, onion, '/ip'),
        await forwardBy(gateway, `http://${host}/ip`),
      ]
      assert.deepEqual(
        answers.map(({ status }) => status),
        [200, 200, 200],
        host,
      )
    }
    await gateway.circuits.settle()
    const hosts = new Set(
      gateway.circuits
        .since(mark)
        .map(({ host }) => host)
        .filter((host) => /onion/i.test(host)),
    )
    assert.deepEqual([...hosts], [onion])
    assert.deepEqual(
      (await watch.namesAtExits()).filter((name) => /onion/i.test(name)),
      [],
    )
    await watch.nothingLeaked()
  })

  it('L4: what only looks like an onion is refused by every port, or is a name of the clearnet', async () => {
    const watch = await lab.watch()
    const label = onion.replace('.onion', '')
    for (const host of [
      `${label}..onion`,
      `${label.slice(1)}.onion`,
      'duckduckgogg42xj.onion',
      `${onion}..`,
      'x.exit',
    ]) {
      assert.equal((await connectBy(gateway, `${host}:80`)).code, 400, host)
      assert.notEqual((await socksBy(gateway, host, 80)).code, 0, host)
      assert.equal((await forwardBy(gateway, `http://${host}/`)).status, 400, host)
    }
    assert.deepEqual(
      (await watch.namesAtExits()).filter((name) => !name.startsWith('check.')),
      [],
    )
    // No exit has resolved it before, for another test.
    await ask(1, `${onion}.ports.cbtor.test`, '/ip')
    assert.ok((await watch.namesAtExits()).includes(`${onion}.ports.cbtor.test`))
    await watch.nothingLeaked()
  })

  it(`L15, L16: ${IDENTITIES} identities by user name, through every port at once, share nothing`, async (t) => {
    const watch = await lab.watch()
    const mark = gateway.circuits.streams.length
    await each(ROUNDS * IDENTITIES * 5, 12, async (n) => {
      const id = `pid-${n % IDENTITIES}-`
      const status = await ask(Math.floor(n / IDENTITIES), 'www.cbtor.test', `/anything/${id}`, `key-${id};`)
      assert.equal(status, 200)
    })
    await gateway.circuits.settle()
    const seen = await watch.requests('/anything/pid-')
    const byConnection = Map.groupBy(seen, ({ connectionId }) => connectionId)
    const shared = [...byConnection.values()].filter((requests) => new Set(requests.map(({ path }) => path)).size > 1)
    const users = new Set(
      gateway.circuits.since(mark).flatMap(({ host, user }) => (host === 'www.cbtor.test' ? [user] : [])),
    )
    t.diagnostic(
      `figure: proxy ports: ${seen.length} requests of ${IDENTITIES} identities: shared circuits ${gateway.circuits.shared().length}, connections ${shared.length}, TLS sessions ${seen.filter(({ tlsSessionReused }) => tlsSessionReused).length}`,
    )
    assert.equal(users.size, IDENTITIES)
    assert.deepEqual([shared, gateway.circuits.shared()], [[], []])
    assert.ok(seen.every(({ tlsSessionReused }) => !tlsSessionReused))
    await watch.nothingLeaked()
  })

  it('L15: a key is one identity by whatever way it comes, and other words make another', async () => {
    const mark = gateway.circuits.streams.length
    const host = 'ports-key.cbtor.test'
    for (let n = 0; n < 5; n++) await ask(n, host, '/ip', 'key-l15ports')
    await gateway.api.fetch({ url: `http://${host}/ip`, sticky_key: 'l15ports' })
    await gateway.circuits.settle()
    const usersNow = () =>
      new Set(gateway.circuits.since(mark).flatMap((stream) => (stream.host === host ? [stream.user] : [])))
    assert.equal(usersNow().size, 1)
    for (const user of ['isolate-none', 'isolate-request', 'isolate-request', 'isolate-destination', 'key-other'])
      await ask(2, host, '/ip', user)
    await gateway.circuits.settle()
    assert.equal(usersNow().size, 6)
    assert.deepEqual(gateway.circuits.shared(), [])
  })

  it('L31: what a client tells a proxy does not reach the target, by any port', async () => {
    const watch = await lab.watch()
    const secret = 'l31ports'
    const lines = [
      ...['X-Forwarded-For', 'X-Forwarded-Host', 'Forwarded', 'Via', 'X-Real-IP', 'Client-IP', 'True-Client-IP'],
      ...['Proxy-Connection', 'Proxy-Foo', 'Keep-Alive', 'TE', 'X-CBTOR-Key', 'Tor-Stream-Isolation', 'X-Tor-Foo'],
    ].map((name) => `${name}: ${secret}`)
    const named = ['X-Of-This-Hop: l31ports', 'Connection: X-Of-This-Hop']
    const user = 'key-l31portsuser'
    await forwardBy(gateway, `http://www.cbtor.test/anything/l31-forward`, { user, lines: [...lines, ...named] })
    const { socket } = await connectBy(gateway, 'www.cbtor.test:80', { user, lines })
    await askOver(socket, 'www.cbtor.test', '/anything/l31-connect')
    const seen = await watch.requests('/anything/l31-')
    assert.equal(seen.length, 2)
    for (const { rawHeaders } of seen) {
      assert.doesNotMatch(JSON.stringify(rawHeaders), /l31ports|proxy|x-tor|cbtor-|via|forwarded|127\.0\.0\.1/i)
      assert.doesNotMatch(JSON.stringify(rawHeaders), new RegExp(Buffer.from(`${user}:x`).toString('base64')))
    }
  })

  it('L33: a tunnel carries what the client wrote byte by byte; plain http keeps its order and case', async () => {
    const own = ['user-AGENT: mine/1', 'X-b: 2', 'x-A: 1', 'Accept: */*']
    const asWritten = own.map((line) => line.split(': '))
    const watch = await lab.watch()
    for (const open of [() => connectBy(gateway, 'www.cbtor.test:80'), () => socksBy(gateway, 'www.cbtor.test', 80)])
      await askOver((await open()).socket, 'www.cbtor.test', '/anything/l33-ports', own)
    const tunnelled = await watch.requests('l33-ports')
    for (const { rawHeaders } of tunnelled)
      assert.deepEqual(rawHeaders, [['Host', 'www.cbtor.test'], ...asWritten, ['Connection', 'close']])
    await forwardBy(gateway, 'http://www.cbtor.test/anything/l33-plain', { lines: own })
    const [plain] = await watch.requests('l33-plain')
    const hop = /^(?:host|connection)$/i
    assert.deepEqual(
      plain?.rawHeaders.filter(([name]) => !hop.test(name)),
      asWritten,
    )
  })

  it('L36: a POST that a target does not answer is sent once', async () => {
    const watch = await lab.watch()
    for (const path of ['close', 'reset']) {
      const url = `http://www.cbtor.test/${path}?l36-ports-${path}`
      const { status } = await forwardBy(gateway, url, { method: 'POST', lines: ['Content-Length: 3'], body: 'abc' })
      assert.equal(status, 502)
      assert.equal((await watch.requests(`l36-ports-${path}`)).length, 1)
    }
  })

  it("L40: a target cannot speak in the proxy's name", async () => {
    const forged = {
      'Proxy-Status': 'cbtor; error=forged',
      'X-CBTOR-Error': 'forged',
      'Proxy-Authenticate': 'Basic realm="forged"',
    }
    const url = `http://www.cbtor.test/response-headers?${new URLSearchParams({ ...forged, 'X-Own': 'kept' })}`
    const { status, head } = await forwardBy(gateway, url)
    assert.equal(status, 200)
    assert.doesNotMatch(head.join('\n'), /forged/)
    assert.match(head.join('\n'), /x-own: kept/i)
  })

  it('L43: BIND, UDP ASSOCIATE and unknown commands are answered with 07, and open nothing', async () => {
    const watch = await lab.watch()
    const mark = gateway.circuits.streams.length
    for (const command of [2, 3, 0xf1, 0, 4]) {
      const { code } = await socksBy(gateway, 'l43.cbtor.test', 80, { command })
      assert.equal(code, 7, `command ${command}`)
    }
    await gateway.circuits.settle()
    assert.deepEqual(
      gateway.circuits.since(mark).filter(({ host }) => host.startsWith('l43')),
      [],
    )
    await watch.nothingLeaked()
  })

  it('L44: what is of no use on the internet reaches no Tor by any port', async () => {
    const watch = await lab.watch()
    const mark = gateway.circuits.streams.length
    for (const host of NOT_ON_THE_INTERNET) {
      const bare = host.replace(/^\[(.*)\]$/, '$1')
      assert.equal((await connectBy(gateway, `${host}:80`)).code, 403, host)
      assert.equal((await socksBy(gateway, bare, 80)).code, 2, host)
      assert.equal((await forwardBy(gateway, `http://${host}/`)).status, 403, host)
      const { code } = await socksBy(gateway, bare, 0, { command: 0xf0 })
      assert.notEqual(code, 0, `RESOLVE ${host}`)
    }
    await gateway.circuits.settle()
    const asked = gateway.circuits.since(mark).map(({ host }) => host)
    assert.deepEqual(
      asked.filter((host) => !/^check\.|\.onion$/.test(host)),
      [],
    )
    await watch.nothingLeaked()
  })

  it('L37, L39, L45: ports leave nothing of targets, names and passwords in what is written, whatever goes wrong', async () => {
    const host = `${PLANTED}.cbtor.test`
    const user = `key-${PLANTED}`
    const texts: string[] = []
    for (let n = 0; n < 5; n++) await ask(n, host, `/anything/${PLANTED}`, user)
    for (const authority of [`${PLANTED}.nowhere.example:80`, `${host}:81`, `${host}:25`, `${PLANTED}`, `${PLANTED}:0`])
      await connectBy(gateway, authority, { user })
    await socksBy(gateway, `${PLANTED}.nowhere.example`, 80, { user })
    for (const url of [
      `http://${host}/close?${PLANTED}`,
      `https://${host}/`,
      `http://${PLANTED}.local/`,
      `http://u:${PLANTED}@${host}/`,
    ]) {
      const { head, body } = await forwardBy(gateway, url, { user, lines: [`Cookie: ${PLANTED}-cookie`] })
      texts.push(`${head.join('\n')}\n${body}`)
    }
    texts.push((await forwardBy(gateway, `http://${host}/`, { user: `${PLANTED}-word` })).body)
    for (const text of texts)
      assert.doesNotMatch(
        text,
        /\/(?:tmp|home|root|work|proc)\/|\.sock|127\.0\.0\.1|at .*\.ts:|zq7planted-cookie/,
        text,
      )
    await gateway.circuits.settle()
    const users = new Set(gateway.circuits.streams.map((stream) => stream.user))
    const remains = await gateway.remains()
    assert.deepEqual(hitsIn(remains).slice(0, 3), [])
    for (const [where, text] of Object.entries(remains)) {
      for (const token of users) assert.ok(!text.includes(token), `an identity is in the ${where}`)
    }
  })
})

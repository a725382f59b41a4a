import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { problemOf } from '../asking.ts'
import type { Gateway } from './gateway.ts'
import { type LeakLab, sharedLab } from './leak-lab.ts'

/** What belongs to one origin. */
const OF_THE_ORIGIN = {
  Authorization: 'Bearer l-secret',
  Cookie: 'sid=l-secret',
  Referer: 'http://l-secret.cbtor.test/',
  Origin: 'http://l-secret.cbtor.test',
}

describe('redirects', { timeout: 600_000 }, () => {
  let lab: LeakLab
  let gateway: Gateway
  let urls: LeakLab['network']['urls']
  before(async () => {
    ;({ lab, gateway } = await sharedLab())
    urls = lab.network.urls
  })
  const leadingTo = (from: string, to: string, token: string) =>
    `${from}/redirect-to?url=${encodeURIComponent(to)}&${token}`

  it('L11: Onion-Location is not followed', async () => {
    const mark = gateway.circuits.streams.length
    const location = encodeURIComponent(`${urls.onion}/`)
    const url = `${urls.httpsWww}/response-headers?Onion-Location=${location}`
    for (let n = 0; n < 2; n++) {
      const answer = await gateway.api.fetch({ url, sticky_key: 'l11-location' })
      assert.deepEqual([answer.url, answer.receipt.redirects], [url, []])
    }
    await gateway.circuits.settle()
    const user = gateway.circuits.since(mark).find(({ host }) => host === 'www.cbtor.test')?.user
    assert.deepEqual(
      gateway.circuits.since(mark).filter((stream) => stream.user === user && stream.host.endsWith('.onion')),
      [],
    )
  })

  it('L11: a redirect to an onion service stays inside the identity, and is told', async () => {
    const mark = gateway.circuits.streams.length
    const host = 'l11.cbtor.test'
    const url = leadingTo(`http://${host}`, `${urls.onion}/ip`, 'l11')
    const answer = await gateway.api.fetch({ url, isolation: 'request' })
    assert.deepEqual(answer.receipt.redirects, [{ status: 302, from: url, to: `${urls.onion}/ip` }])
    await gateway.circuits.settle()
    const users = new Map(gateway.circuits.since(mark).map((stream) => [stream.host, stream.user]))
    assert.equal(users.get(new URL(urls.onion).hostname), users.get(host))
  })

  it('L12: an onion service does not lead to the clearnet unless that is asked for, and then not with its secrets', async () => {
    const watch = await lab.watch()
    const url = leadingTo(urls.onion, 'http://l12.cbtor.test/anything/l12', 'from-onion')
    const { code } = await problemOf(gateway.api.fetch({ url, headers: OF_THE_ORIGIN }))
    assert.equal(code, 'redirect_forbidden')
    assert.ok(!(await watch.namesAtExits()).includes('l12.cbtor.test'))
    assert.deepEqual(await watch.requests('anything/l12'), [])
    await gateway.api.fetch({ url, headers: OF_THE_ORIGIN, allow_onion_to_clearnet: true })
    await arrivedWithoutSecrets(watch, 'anything/l12')
    // They were there to be lost.
    assert.match(JSON.stringify(await watch.requests('from-onion')), /l-secret/)
  })

  it('L13: https does not lead to http unless that is asked for', async () => {
    const watch = await lab.watch()
    const url = leadingTo(urls.httpsWww, 'http://l13.cbtor.test/anything/l13', 'from-https')
    assert.equal((await problemOf(gateway.api.fetch({ url }))).code, 'redirect_forbidden')
    assert.deepEqual(await watch.requests('anything/l13'), [])
    await gateway.api.fetch({ url, allow_downgrade: true, headers: OF_THE_ORIGIN })
    await arrivedWithoutSecrets(watch, 'anything/l13')
  })

  it('L14: what belongs to an origin does not go to another one, be it by host, port or scheme', async () => {
    for (const [from, to] of [
      ['http://l14-a.cbtor.test', 'http://l14-b.cbtor.test/anything/l14-1'],
      ['http://l14-a.cbtor.test', 'https://l14-a.cbtor.test/anything/l14-2'],
      ['http://l14-a.cbtor.test', `${urls.onion}/anything/l14-3`],
    ] as const) {
      const watch = await lab.watch()
      for (const status of [301, 302, 303, 307, 308])
        await gateway.api.fetch({ url: leadingTo(from, to, `status=${status}`), headers: OF_THE_ORIGIN })
      assert.equal((await arrivedWithoutSecrets(watch, '/anything/l14')).length, 5)
    }
    // Within the origin it does.
    const watch = await lab.watch()
    const url = leadingTo('http://l14-a.cbtor.test', 'http://l14-a.cbtor.test/anything/l14-4', 'same')
    await gateway.api.fetch({ url, headers: OF_THE_ORIGIN })
    assert.match(JSON.stringify(await watch.requests('anything/l14-4')), /l-secret/)
  })

  /** Also no header that we might make of where the request came from. */
  async function arrivedWithoutSecrets(watch: Awaited<ReturnType<LeakLab['watch']>>, token: string) {
    const arrived = (await watch.requests(token)).filter(({ path }) => path.startsWith('/anything/'))
    assert.ok(arrived.length > 0)
    for (const { rawHeaders } of arrived) {
      const names = rawHeaders.map(([name]) => name.toLowerCase())
      for (const name of Object.keys(OF_THE_ORIGIN)) assert.ok(!names.includes(name.toLowerCase()), name)
      assert.ok(!JSON.stringify(rawHeaders).includes('l-secret'))
    }
    return arrived
  }
})

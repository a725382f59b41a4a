import assert from 'node:assert/strict'
import { Resolver } from 'node:dns/promises'
import { it } from 'node:test'
import { DnsServer } from './dns-server.ts'

const OPTIONS = { timeout: 10_000 }

it('resolves names, has no IPv6 address for them, and denies others', OPTIONS, async () => {
  await using server = await listen()
  const resolver = resolverOf(server)
  assert.deepEqual(await resolver.resolve4('WWW.cbtor.test'), ['198.51.100.120'])
  await assert.rejects(resolver.resolve6('www.cbtor.test'), { code: 'ENODATA' })
  await assert.rejects(resolver.resolve4('example.org'), { code: 'ENOTFOUND' })
  assert.deepEqual(
    server.queries.map(({ name, type }) => `${name} ${type}`),
    ['www.cbtor.test 1', 'www.cbtor.test 28', 'example.org 1'],
  )
})

it('fails as told, and recovers', OPTIONS, async () => {
  await using server = await listen()
  const resolver = resolverOf(server)
  server.fault = 'servfail'
  await assert.rejects(resolver.resolve4('www.cbtor.test'), { code: 'ESERVFAIL' })
  server.fault = 'nxdomain'
  await assert.rejects(resolver.resolve4('www.cbtor.test'), { code: 'ENOTFOUND' })
  server.fault = 'timeout'
  await assert.rejects(resolver.resolve4('www.cbtor.test'), { code: 'ETIMEOUT' })
  server.fault = 'ok'
  assert.deepEqual(await resolver.resolve4('www.cbtor.test'), ['198.51.100.120'])
})

function listen(): Promise<DnsServer> {
  return DnsServer.listen('127.0.0.1', 0, (name) =>
    name.toLowerCase() === 'www.cbtor.test' ? '198.51.100.120' : undefined,
  )
}

function resolverOf(server: DnsServer): Resolver {
  const resolver = new Resolver({ timeout: 200, tries: 1 })
  resolver.setServers([`127.0.0.1:${server.port}`])
  return resolver
}

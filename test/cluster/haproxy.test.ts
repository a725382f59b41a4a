/** deploy/haproxy.cfg, before three replicas of which those that are told to end a connection without a word. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { checkHaproxy, freePorts, type Haproxy, haproxyVariables, startHaproxy } from '../../bench/cluster/haproxy.ts'

interface Asked {
  readonly replica: number
  readonly name: string
}

const asked: Asked[] = []
/** How a machine that dies ends a connection: by an end, or, when it had not read all of it, by a reset. */
const DEATHS = ['end', 'reset'] as const
/** How the next request is answered, if not with an answer. */
let death: (typeof DEATHS)[number] | 'hang' | undefined
/** Replicas that answer nothing. */
const hanging = new Set<number>()
const ends = new AsyncDisposableStack()
let haproxy: Haproxy

before(async () => {
  const ports = await Promise.all(
    [1, 2, 3].map(async (replica) => {
      const server = createServer((incoming, response) => {
        if (incoming.url === '/healthz') return void (hanging.has(replica) || response.end('{}'))
        void take(replica, incoming).then((how) => {
          if (how === 'end') incoming.socket.destroy()
          else if (how === 'hang') hanging.add(replica)
          else if (how === 'reset') incoming.socket.resetAndDestroy()
          else response.end('{}')
        })
      })
      const tunnels = createTcpServer((socket) => socket.pipe(socket))
      const [api, http] = await Promise.all(
        [server, tunnels].map(async (each) => {
          await once(each.listen(0, '127.0.0.1'), 'listening')
          ends.defer(() => void each.close())
          return (each.address() as AddressInfo).port
        }),
      )
      ends.defer(() => server.closeAllConnections())
      return { api: api ?? 0, http: http ?? 0, socks: http ?? 0 }
    }),
  )
  haproxy = ends.use(await startHaproxy(ports, await freePorts()))
})
after(() => ends.disposeAsync())

async function take(replica: number, incoming: IncomingMessage): Promise<typeof death> {
  for await (const _ of incoming);
  asked.push({ replica, name: `${incoming.headers['x-name']}` })
  const how = death
  death = undefined
  return how
}

/** Asks once, over a connection that has carried a request before, while the first replica that gets it dies of it. */
async function ask(how: typeof death, name: string, options: Partial<Ask>): Promise<Told> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  await send(agent, 'before', { method: 'GET', path: '/' })
  death = how
  const status = await send(agent, `${how} ${name}`, options)
  agent.destroy()
  const [first, ...others] = asked.filter((each) => each.name === `${how} ${name}`).map(({ replica }) => replica)
  return { status, times: 1 + others.length, isElsewhere: others.every((each) => each !== first) }
}

async function send(
  agent: Agent,
  name: string,
  { method = 'POST', path = '/api/v1/fetch', headers = {}, body }: Partial<Ask>,
): Promise<number | undefined> {
  const asking = request({
    ...{ host: '127.0.0.1', port: haproxy.ports.api, method, path, agent },
    headers: { 'x-name': name, ...headers },
  })
  asking.end(body)
  const [response] = (await once(asking, 'response')) as [IncomingMessage]
  response.resume()
  await once(response, 'close')
  return response.statusCode
}

interface Told {
  readonly status: number | undefined
  readonly times: number
  readonly isElsewhere: boolean
}

interface Ask {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

describe('deploy/haproxy.cfg', () => {
  it('is taken by haproxy', async () => {
    const free = await freePorts()
    await checkHaproxy(haproxyVariables(free, [free, free, free]))
  })

  const again: Record<string, Partial<Ask>> = {
    'a GET of the API': { method: 'GET', path: '/api/v1/health' },
    'a fetch that says no method': { body: '{"url":"http://a.test/"}' },
    'a fetch by GET': { body: '{"method":"GET","url":"http://a.test/"}' },
    'a fetch by PUT, raw': { path: '/api/v1/fetch/raw', body: '{"url":"http://a.test/","method": "PUT","body":"x"}' },
    'a GET that goes by raw': { method: 'GET', path: '/api/v1/fetch/raw?url=http://a.test/' },
    'an order of a job with an Idempotency-Key': {
      path: '/api/v1/jobs',
      headers: { 'idempotency-key': 'a' },
      body: '{}',
    },
    'a fetch with 40 kB to send': {
      body: JSON.stringify({ method: 'PUT', url: 'http://a.test/', body: 'x'.repeat(40_000) }),
    },
  }
  for (const [what, options] of Object.entries(again))
    it(`sends ${what} to another replica when the first one dies of it`, async () => {
      for (const how of DEATHS)
        assert.deepEqual(await ask(how, what, options), { status: 200, times: 2, isElsewhere: true }, how)
    })

  it('asks another replica for what hangs at one that does not answer checks any more', async () => {
    // Whoever gets it hangs, and is well again for the next test.
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    death = 'hang'
    assert.equal(await send(agent, 'hanging', { body: '{"url":"http://a.test/"}' }), 200)
    agent.destroy()
    const [first, second, ...others] = asked.filter(({ name }) => name === 'hanging').map(({ replica }) => replica)
    assert.deepEqual([first === second, others], [false, []])
    hanging.clear()
  })

  const neverAgain: Record<string, Partial<Ask>> = {
    'a fetch by POST': { body: '{"url":"http://a.test/","method":"POST"}' },
    'a fetch by a method that nobody knows': { body: '{"url":"http://a.test/","method":"PAY"}' },
    'a fetch with two methods': { body: '{"method":"GET","url":"http://a.test/","method":"POST"}' },
    'a fetch with its method in disguise': { body: '{"url":"http://a.test/","m\\u0065thod":"POST"}' },
    'a fetch with a method elsewhere': { body: '{"url":"http://a.test/","headers":{"method":"GET"}}' },
    'a fetch in chunks': { headers: { 'transfer-encoding': 'chunked' }, body: '{"url":"http://a.test/"}' },
    'a fetch that is too large to look into': {
      body: JSON.stringify({ url: 'http://a.test/', body: 'x'.repeat(100_000), method: 'GET' }),
    },
    'a body that is no JSON': { body: '"method"' },
    'an order of a job without a key': { path: '/api/v1/jobs', body: '{}' },
    'a restart of a worker': { path: '/api/v1/tor/workers/1/tor/restart', body: '' },
  }
  for (const [what, options] of Object.entries(neverAgain))
    it(`sends ${what} once, and answers 502`, async () => {
      for (const how of DEATHS)
        assert.deepEqual(await ask(how, what, options), { status: 502, times: 1, isElsewhere: true }, how)
    })
})

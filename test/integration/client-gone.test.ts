import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { TorControl } from '../../src/tor/control/client.ts'
import type { Stream } from '../../src/tor/control/events/stream.ts'
import { torDirectory } from '../../src/tor/tor-directory.ts'
import { eventually } from '../asking.ts'
import { createLab, type Lab } from './lab.ts'

const WORKERS = ['tor01', 'tor02', 'tor03', 'tor04']
const never = new AbortController().signal
/** What is promised. It is measured and told; a machine under load may be late without anything being wrong with the service. */
const PROMISED_MS = 100
const HANG_MS = 5_000

let lab: Lab
/** Streams of all workers, as their Tors tell them on control connections of the test's own. */
const streams: { readonly worker: string; readonly stream: Stream; readonly at: number }[] = []
const controls: TorControl[] = []

before(async () => {
  lab = await createLab()
  for (const worker of WORKERS) {
    const { controlSocket, controlCookie } = torDirectory(join(lab.config.state, 'workers', worker))
    const control = await TorControl.open(controlSocket, { method: 'cookie-file', path: controlCookie }, {}, never)
    control.on('STREAM', (stream) => streams.push({ worker, stream, at: performance.now() }))
    await control.subscribe(['STREAM'], never)
    controls.push(control)
  }
})

after(async () => {
  for (const control of controls) await control[Symbol.asyncDispose]()
  await lab?.[Symbol.asyncDispose]()
})

/** What a client begins, by each way in; the target takes a minute to answer. */
const BEGINNINGS: Readonly<
  Record<string, (host: string) => { readonly port: 'api' | 'http' | 'socks'; readonly bytes: string }>
> = {
  'a fetch': (host) => {
    const body = JSON.stringify({ url: `http://${host}/delay/60000`, isolation: 'request' })
    const head = `POST /api/v1/fetch HTTP/1.1\r\nhost: ${new URL(lab.service.url).host}\r\ncontent-type: application/json`
    return { port: 'api', bytes: `${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}` }
  },
  'plain http by the proxy': (host) => ({
    port: 'http',
    bytes: `GET http://${host}/delay/60000 HTTP/1.1\r\nhost: ${host}\r\n\r\n`,
  }),
  'an answer that flows': (host) => ({
    port: 'http',
    bytes: `GET http://${host}/endless HTTP/1.1\r\nhost: ${host}\r\n\r\n`,
  }),
  CONNECT: (host) => ({ port: 'http', bytes: `CONNECT ${host}:80 HTTP/1.1\r\nhost: ${host}:80\r\n\r\n` }),
  SOCKS5: (host) => ({
    port: 'socks',
    bytes: `\x05\x01\x00\x05\x01\x00\x03${String.fromCharCode(host.length)}${host}\x00\x50`,
  }),
}

describe('a client that goes', { timeout: 600_000 }, () => {
  for (const [name, begin] of Object.entries(BEGINNINGS))
    for (const leave of ['destroy', 'resetAndDestroy'] as const)
      it(`takes its stream with it, and frees its worker: ${name}, ${leave === 'destroy' ? 'closed' : 'reset'}`, async (test) => {
        const host = new URL(lab.network.urls.www).hostname
        const { port, bytes } = begin(host)
        const mark = streams.length
        const socket = await dial(port)
        socket.write(bytes, 'latin1')
        const opened = await eventually(
          async () => streams.slice(mark).find(({ stream }) => isOpened(stream, host)),
          20_000,
        )
        await settled()
        assert.equal(await inFlight(), 1)

        const leftAt = performance.now()
        socket[leave]()
        const closed = await eventually(async () => streams.slice(mark).find((seen) => ends(seen, opened)), HANG_MS)
        tell(test, 'stream closed', closed.at - leftAt)
        await eventually(async () => (await inFlight()) === 0, HANG_MS)
      })
})

function tell(test: TestContext, what: string, ms: number): void {
  const verdict = ms <= PROMISED_MS ? 'as promised' : `later than the ${PROMISED_MS} ms that are promised`
  test.diagnostic(`${what} after ${ms.toFixed(1)} ms, ${verdict}`)
}

function isOpened({ status, target }: Stream, host: string): boolean {
  return status === 'SUCCEEDED' && (target.host === host || target.port === 80)
}

function ends(seen: (typeof streams)[number], opened: (typeof streams)[number]): boolean {
  const isSame = seen.worker === opened.worker && seen.stream.id === opened.stream.id
  return isSame && (seen.stream.status === 'CLOSED' || seen.stream.status === 'FAILED')
}

/** All that was asked for until now is under way. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 100))
}

async function inFlight(): Promise<number> {
  const workers = await Promise.all(WORKERS.map((id) => lab.api.worker(id)))
  return workers.reduce((sum, { leases }) => sum + leases, 0)
}

async function dial(port: 'api' | 'http' | 'socks'): Promise<Socket> {
  const { http = '', socks = '' } = lab.service.proxy
  const { hostname, port: number } = new URL({ api: lab.service.url, http, socks }[port])
  const socket = connect(Number(number), hostname)
    .on('error', () => {})
    .resume()
  await once(socket, 'connect')
  return socket
}

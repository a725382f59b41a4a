/**
 * The table of bad inputs, row by row, sent over real sockets to a whole service. What a row refuses, no worker hears of. A row whose
 * answer is another one than the table has says why.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Client, Lab, PortName } from './lab.ts'
import { startLab } from './lab.ts'
import type { HttpRow, SocksRow } from './rows.ts'
import { FETCH_ROWS } from './rows-fetch.ts'
import { HTTP_ROWS, NO_SOCKS_ROWS, SOCKS_ROWS } from './rows-proxy.ts'

let lab: Lab
before(async () => {
  lab = await startLab()
})
after(() => lab[Symbol.asyncDispose]())

for (const [port, rows] of [
  ['api', FETCH_ROWS],
  ['http', HTTP_ROWS],
  ['both', HTTP_ROWS],
] as const) {
  describe(`bad HTTP on the port ${port}`, { timeout: 120_000 }, () => {
    for (const row of rows) it(titleOf(row), () => answersAsTold(port, row))
  })
}

for (const [port, rows] of [
  ['socks', [...SOCKS_ROWS, ...NO_SOCKS_ROWS]],
  ['both', SOCKS_ROWS],
] as const) {
  describe(`bad SOCKS on the port ${port}`, { timeout: 60_000 }, () => {
    for (const row of rows) it(titleOf(row), () => repliesAsTold(port, row))
  })
}

function titleOf({ n, name, because }: HttpRow | SocksRow): string {
  return `${n} ${JSON.stringify(name).slice(1, -1).slice(0, 100)}${because === undefined ? '' : ` (${because})`}`
}

async function answersAsTold(port: PortName, row: HttpRow): Promise<void> {
  const before = lab.asked.length
  const client = await lab.dial(port)
  const address = `127.0.0.1:${lab.ports[port]}`
  client.send(row.bytes.replaceAll('{HOST}', address).replaceAll('{PORT}', `${lab.ports[port]}`))
  const { status, headers, body } = await answerOf(client)
  assert.equal(status, row.status, client.text)
  for (const [name, value] of Object.entries(row.headers ?? {})) assert.match(headers.get(name) ?? 'none', value, name)
  if (status >= 400) {
    assert.match(headers.get('content-type') ?? '', /^application\/problem\+json/)
    const problem = JSON.parse(body)
    assert.equal(problem.status, status)
    assert.match(problem.detail, /^[\x20-\x7e]+$/)
    if (row.code !== undefined) assert.equal(problem.code, row.code, body)
    if (row.faults !== undefined)
      assert.deepEqual([...new Set(problem.errors.map((fault: { code: string }) => fault.code))].sort(), row.faults)
    if (row.redirects !== undefined) assert.equal(problem.redirects.length, row.redirects)
    assert.equal(headers.get('access-control-allow-origin'), undefined)
  }
  if (row.closes) await client.readsAll()
  if (row.asks !== 'whatever') assert.deepEqual(lab.asked.slice(before), row.asks ?? [])
  client.socket.destroy()
}

async function repliesAsTold(port: PortName, { bytes, answer, asks = [] }: SocksRow): Promise<void> {
  const before = lab.asked.length
  const client = await lab.dial(port)
  client.send(bytes)
  assert.equal(await client.readsAll(), answer)
  client.socket.destroy()
  assert.deepEqual(lab.asked.slice(before), asks)
}

/** The first answer that is no interim one, once all of it has come. */
async function answerOf(client: Client) {
  const isWhole = (text: string) => {
    const end = text.indexOf('\r\n\r\n')
    const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(text.slice(0, end + 2))?.[1])
    return end >= 0 && text.length >= end + 4 + length
  }
  const text = await client.reads(isWhole)
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const [statusLine = '', ...lines] = head.split('\r\n')
  assert.match(statusLine, /^HTTP\/1\.1 \d{3} /, text)
  const headers = new Map(
    lines.map((line) => [line.split(':', 1)[0]?.toLowerCase() ?? '', line.slice(line.indexOf(':') + 2)]),
  )
  return {
    status: Number(statusLine.slice(9, 12)),
    headers,
    body: Buffer.from(rest.join('\r\n\r\n'), 'latin1').toString(),
  }
}

/**
 * The table of bad inputs, row by row, sent over real sockets to a whole service. What a row refuses, no worker hears of. A row whose
 * answer is another one than the table has says why.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { answerOf } from './answer.ts'
import { filledIn, type Lab, type PortName, startLab } from './lab.ts'
import type { HttpRow, SocksRow } from './rows.ts'
import { FETCH_ROWS } from './rows-fetch.ts'
import { HTTP_ROWS, LOCKED_HTTP_ROWS, LOCKED_SOCKS_ROWS, NO_SOCKS_ROWS, SOCKS_ROWS } from './rows-proxy.ts'

/** The numbers of the table. */
const ALL = [
  ...[
    1, 2, 4, 5, 6, 7, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 25, 26, 28, 29, 30, 31, 34, 35, 36, 37, 38,
    39,
  ],
  ...[
    40, 41, 43, 44, 45, 46, 48, 50, 51, 52, 54, 55, 58, 59, 60, 62, 63, 64, 65, 66, 67, 68, 70, 71, 73, 75, 77, 78, 80,
  ],
  ...[82, 84, 85, 87, 89, 90],
]
/** Where the rows are that are more than one message. */
const IN_TIME = new URL('bad-inputs-in-time.test.ts', import.meta.url)

it('has every row of the table', () => {
  const rows = [FETCH_ROWS, HTTP_ROWS, LOCKED_HTTP_ROWS, SOCKS_ROWS, NO_SOCKS_ROWS, LOCKED_SOCKS_ROWS].flat()
  const elsewhere = [...readFileSync(IN_TIME, 'utf8').matchAll(/it\([`'](\d+)/g)].map(([, n]) => Number(n))
  assert.deepEqual(
    [...new Set([...rows.map(({ n }) => n), ...elsewhere])].sort((a, b) => a - b),
    ALL,
  )
})

let open: Lab
/** Whose proxy ports ask for keys. */
let locked: Lab
before(async () => {
  open = await startLab()
  locked = await startLab({ proxy: { auth: 'on' } })
})
after(async () => {
  await open[Symbol.asyncDispose]()
  await locked[Symbol.asyncDispose]()
})

for (const [title, port, rows, labOf] of [
  ['the API', 'api', FETCH_ROWS, () => open],
  ['the HTTP proxy', 'http', HTTP_ROWS, () => open],
  ['the port for both', 'both', HTTP_ROWS, () => open],
  ['the HTTP proxy that asks for keys', 'http', LOCKED_HTTP_ROWS, () => locked],
  ['the port for both that asks for keys', 'both', LOCKED_HTTP_ROWS, () => locked],
] as const) {
  describe(`bad HTTP to ${title}`, { timeout: 600_000 }, () => {
    for (const row of rows) it(titleOf(row), () => answersAsTold(labOf(), port, row))
  })
}

for (const [title, port, rows, labOf] of [
  ['the SOCKS proxy', 'socks', [...SOCKS_ROWS, ...NO_SOCKS_ROWS], () => open],
  ['the port for both', 'both', SOCKS_ROWS, () => open],
  ['the SOCKS proxy that asks for keys', 'socks', LOCKED_SOCKS_ROWS, () => locked],
  ['the port for both that asks for keys', 'both', LOCKED_SOCKS_ROWS, () => locked],
] as const) {
  describe(`bad SOCKS to ${title}`, { timeout: 300_000 }, () => {
    for (const row of rows) it(titleOf(row), () => repliesAsTold(labOf(), port, row))
  })
}

function titleOf({ n, name, because }: HttpRow | SocksRow): string {
  return `${n} ${JSON.stringify(name).slice(1, -1).slice(0, 100)}${because === undefined ? '' : ` (${because})`}`
}

async function answersAsTold(lab: Lab, port: PortName, row: HttpRow): Promise<void> {
  const before = lab.asked.length
  const client = await lab.dial(port)
  client.send(filledIn(row.bytes, lab, port))
  const { status, headers, body } = await answerOf(client)
  assert.equal(status, row.status, client.text)
  for (const [name, value] of Object.entries(row.headers ?? {})) assert.match(headers.get(name) ?? 'none', value, name)
  if (status >= 400) {
    assert.match(headers.get('content-type') ?? '', /^application\/problem\+json/)
    const problem = JSON.parse(body)
    assert.equal(problem.status, status)
    assert.match(problem.detail, /^[\x20-\x7e]+$/)
    if (row.code !== undefined) assert.equal(problem.code, row.code, body)
    if (row.detail !== undefined) assert.equal(problem.detail, row.detail)
    if (row.faults !== undefined)
      assert.deepEqual([...new Set(problem.errors.map((fault: { code: string }) => fault.code))].sort(), row.faults)
    if (row.redirects !== undefined) assert.equal(problem.redirects.length, row.redirects)
    assert.equal(headers.get('access-control-allow-origin'), undefined)
  }
  if (row.closes) await client.readsAll()
  if (row.asks !== 'whatever') assert.deepEqual(lab.asked.slice(before), row.asks ?? [])
  client.socket.destroy()
}

async function repliesAsTold(lab: Lab, port: PortName, { bytes, answer, asks = [] }: SocksRow): Promise<void> {
  const before = lab.asked.length
  const client = await lab.dial(port)
  client.send(filledIn(bytes, lab, port))
  assert.equal(await client.readsAll(), answer)
  client.socket.destroy()
  assert.deepEqual(lab.asked.slice(before), asks)
}

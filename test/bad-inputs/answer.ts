import assert from 'node:assert/strict'
import type { Client } from './lab.ts'

/** The first answer of HTTP, once all of it has come. Its body has a length. */
export async function answerOf(client: Client, limitMs?: number) {
  const isWhole = (text: string) => {
    const end = text.indexOf('\r\n\r\n')
    const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(text.slice(0, end + 2))?.[1])
    return end >= 0 && text.length >= end + 4 + length
  }
  const text = await client.reads(isWhole, limitMs)
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const [statusLine = '', ...lines] = head.split('\r\n')
  assert.match(statusLine, /^HTTP\/1\.1 \d{3} /, text)
  const headers = new Map(
    lines.map((line) => [line.split(':', 1)[0]?.toLowerCase() ?? '', line.slice(line.indexOf(':') + 2)]),
  )
  const body = Buffer.from(rest.join('\r\n\r\n'), 'latin1').toString()
  return { status: Number(statusLine.slice(9, 12)), headers, body }
}

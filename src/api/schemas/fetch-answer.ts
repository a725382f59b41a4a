import { z } from 'zod'
import type { FetchAnswer } from '../../domain/exchange.ts'
import { encodeBody, type ResponseEncoding } from '../answer-body.ts'
import { oneOf } from './common.ts'
import { receiptBody, toReceiptBody } from './receipt.ts'

export const fetchAnswerBody = z
  .object({
    url: z.string().describe('Where the answer came from, after redirects.'),
    status: z.int().describe("The target's status."),
    status_text: z.string(),
    headers: z
      .record(z.string(), z.union([z.string(), z.array(z.string())]))
      .describe('Names in lower case. Several values of a name are joined by ", "; `set-cookie` is always a list.'),
    body: z.string(),
    body_encoding: oneOf(['text', 'base64']),
    worker: z.string().describe('The worker that delivered.'),
    receipt: receiptBody,
  })
  .meta({ id: 'FetchAnswer' })

export type FetchAnswerBody = z.output<typeof fetchAnswerBody>

export function toFetchAnswerBody(answer: FetchAnswer, encoding: ResponseEncoding): FetchAnswerBody {
  const contentType = answer.headers.find(([name]) => name === 'content-type')?.[1]
  return {
    url: answer.url,
    status: answer.status,
    status_text: answer.statusText,
    headers: joinHeaders(answer.headers),
    ...encodeBody(answer.body, contentType, encoding),
    worker: answer.worker,
    receipt: toReceiptBody(answer),
  }
}

/** Cookies are a list because they may contain commas (RFC 6265 section 3). A name that would be an object's prototype is left out. */
function joinHeaders(headers: FetchAnswer['headers']): FetchAnswerBody['headers'] {
  const joined = new Map<string, string | string[]>()
  for (const [name, value] of headers) {
    if (name === '__proto__') continue
    const earlier = joined.get(name)
    if (name === 'set-cookie') joined.set(name, [earlier ?? [], value].flat())
    else joined.set(name, earlier === undefined ? value : `${earlier}, ${value}`)
  }
  return Object.fromEntries(joined)
}

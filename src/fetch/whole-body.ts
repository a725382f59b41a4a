import type { FetchRequest } from '../domain/exchange.ts'
import { type Answered, type Arrival, type Ending, endsWithConnection, hasBody } from './ending.ts'
import { endToEndHeaders, type HeaderList, withoutHeaders } from './headers.ts'
import { discardBody, type ResponseBody, readBody } from './response-body.ts'

const CODING = new Set(['content-encoding'])
/** A decoded body has neither the coding nor the length that were declared for it. */
const OF_THE_CODED = new Set(['content-encoding', 'content-length'])

type WholeAnswer = Answered & { readonly body: Uint8Array }

/** Reads the whole body and undoes its coding: an answer is there when all of it is, and until then another worker may give it. */
export function wholeBody(request: Pick<FetchRequest, 'maxBytes' | 'allowTruncated'>): Ending<WholeAnswer> {
  return async (arrival) => {
    const { hop, head, exchange, connection, trial, ledger, clock, verdictMs } = arrival
    const asking = ledger.delivery(connection)
    const body = await read(arrival, request)
    const bodyEndedAt = clock.monotonic()
    if (endsWithConnection(arrival) && !body.isTruncated) {
      await trial.verdict(verdictMs)
      trial.signal.throwIfAborted()
    }
    trial.over()
    const delivery = await asking
    const answer = {
      url: hop.to.url.href,
      status: head.status,
      statusText: head.statusText,
      headers: answerHeaders(head.headers, body),
      body: body.bytes,
      ...delivery,
      timing: ledger.timing(connection, exchange, bodyEndedAt),
      bytes: { ...ledger.count(connection), decoded: body.bytes.length },
      truncated: body.isTruncated,
    }
    return body.isTruncated ? { answer, over: Promise.resolve(false) } : { answer }
  }
}

async function read(
  arrival: Arrival,
  { maxBytes, allowTruncated = false }: Pick<FetchRequest, 'maxBytes' | 'allowTruncated'>,
): Promise<ResponseBody> {
  const { head, exchange, clock } = arrival
  if (hasBody(arrival)) {
    // Ranges count the coded bytes (RFC 9110, sections 8.1 and 14.1.2), and a part of those cannot be decoded.
    const headers = head.status === 206 ? withoutHeaders(head.headers, CODING) : head.headers
    return await readBody(exchange.body, headers, { maxBytes, allowTruncated })
  }
  await discardBody(exchange.body, clock)
  return { bytes: Buffer.alloc(0), isDecoded: false, isTruncated: false }
}

function answerHeaders(received: HeaderList, body: ResponseBody): HeaderList {
  const headers = endToEndHeaders(received)
  return body.isDecoded ? withoutHeaders(headers, OF_THE_CODED) : headers
}

import type { IncomingHttpHeaders } from 'node:http'
import type { Routing } from '../domain/exchange.ts'
import type { Door } from '../domain/request-watch.ts'
import { parseTraceParent } from '../domain/trace-parent.ts'

/** What those who are told of requests want to know of how one came; none of it goes to a target. */
export function cameBy(via: Door, { traceparent }: IncomingHttpHeaders): Pick<Routing, 'via' | 'traceParent'> {
  const traceParent = parseTraceParent(traceparent)
  return { via, ...(traceParent && { traceParent }) }
}

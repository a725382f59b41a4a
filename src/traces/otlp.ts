import type { AttributeValue, Span } from './span.ts'

/*
 * OTLP as JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): ids in hexadecimal, 64-bit numbers as text,
 * enumerations as numbers.
 */

const KIND = { internal: 1, server: 2 } as const
const STATUS = { unset: 0, error: 2 } as const

/** An ExportTraceServiceRequest. */
export function exportRequest(
  resource: Readonly<Record<string, AttributeValue>>,
  scope: { readonly name: string; readonly version: string },
  spans: readonly Span[],
): string {
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: attributesOf(resource) },
        scopeSpans: [{ scope, spans: spans.map(spanOf) }],
      },
    ],
  })
}

function spanOf({ traceId, spanId, parentSpanId, name, kind, startAt, endAt, attributes, error }: Span) {
  return {
    ...{ traceId, spanId, name },
    ...(parentSpanId !== undefined && { parentSpanId }),
    kind: KIND[kind],
    startTimeUnixNano: nanoseconds(startAt),
    endTimeUnixNano: nanoseconds(Math.max(startAt, endAt)),
    attributes: attributesOf(attributes),
    status: error === undefined ? { code: STATUS.unset } : { code: STATUS.error, message: error },
  }
}

function attributesOf(attributes: Readonly<Record<string, AttributeValue>>) {
  return Object.entries(attributes).map(([key, value]) => ({
    key,
    value: typeof value === 'string' ? { stringValue: value } : { intValue: String(Math.round(value)) },
  }))
}

function nanoseconds(epochMs: number): string {
  return String(BigInt(Math.round(epochMs * 1_000)) * 1_000n)
}

export type AttributeValue = string | number

/** Something that took time, as OpenTelemetry has it. */
export interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  /** `server`: somebody asked us; `internal`: a part of that. */
  readonly kind: 'server' | 'internal'
  /** Epoch milliseconds. */
  readonly startAt: number
  readonly endAt: number
  readonly attributes: Readonly<Record<string, AttributeValue>>
  /** The code of what went wrong; undefined when nothing did. */
  readonly error: string | undefined
}

/** One HTTP request to the service, as the platform can make it. */
export interface TransportRequest {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** With the query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal?: AbortSignal
}

/** Bytes as they come. They must be read to the end, or destroyed. */
export interface ByteStream extends AsyncIterable<Uint8Array> {
  /** Ends it: the service is told that nobody reads any longer. */
  destroy(): unknown
}

/** The answer of the service, whose head is there. */
export interface TransportAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** Errs when it is not whole. */
  readonly body: ByteStream
  /** Empty until `body` has ended. */
  readonly trailers: Readonly<Record<string, string>>
}

/**
 * Resolves once the head of the answer is there, whatever its status. Rejects when there is none, and when `signal` aborts, which
 * ends the body, too.
 */
export type Transport = (request: TransportRequest) => Promise<TransportAnswer>

import type { Readable } from 'node:stream'
import { type Dispatcher, request as undiciRequest } from 'undici'

/** A target's answer as `fetch/raw` gives it. */
export interface RawAnswer {
  /** The target's. */
  readonly status: number
  /** Names in lower case: the receipt in `cbtor-*`, headers of the target that stand for nothing here in `cbtor-target-*`. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** As the target sent it, still coded. Errs when it is not whole. It must be read or destroyed. */
  readonly body: Readable
  /** The rest of the receipt; empty until `body` has ended. */
  readonly trailers: Readonly<Record<string, string>>
}

/** As much of undici's `request` as is needed: unlike the platform's `fetch` it decodes nothing, and tells trailers. */
export type RawRequest = (
  url: string,
  init: { method: 'POST'; headers: Record<string, string>; body: string; signal?: AbortSignal },
) => Promise<RawAnswer>

export function rawRequestBy(dispatcher: Dispatcher): RawRequest {
  return async (url, init) => {
    const { statusCode: status, headers, body, trailers } = await undiciRequest(url, { ...init, dispatcher })
    return { status, headers, body, trailers }
  }
}

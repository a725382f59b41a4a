import type { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib'
import { CbtorError } from '../domain/errors.ts'
import type { Clock } from '../lib/clock.ts'
import { exchangeFailure } from './failure.ts'
import { type HeaderList, valuesOf } from './headers.ts'

export interface ResponseBody {
  readonly bytes: Buffer
  /** Whether a Content-Encoding was undone. */
  readonly isDecoded: boolean
  /** Whether it goes on. */
  readonly isTruncated: boolean
}

/** A body that comes: the exchange's, or any readable stream of bytes. */
export interface BodyStream extends AsyncIterable<Buffer> {
  /** Nobody wants the rest of it. */
  destroy(): unknown
}

export interface BodyLimits {
  /** After decoding. */
  readonly maxBytes: number
  /** Cut what is beyond, instead of failing. */
  readonly allowTruncated?: boolean
}

/** Beyond the first MiB a body may be this many times larger than what came over the wire. */
const MAX_RATIO = 100
const RATIO_APPLIES_BEYOND = 1024 * 1024

/** How much of a body that nobody wants is read, and for how long, to spare the connection. */
const MAX_UNWANTED_BYTES = 64 * 1024
const MAX_UNWANTED_MS = 1_000

/** RFC 9659: as a content coding it takes a window of no more than 8 MiB; others could have us keep 128. */
const MAX_ZSTD_WINDOW_LOG = 23

/** By content coding, and chosen by the first byte, for "deflate" means zlib's format or, often, the bare one. */
const DECODERS: Readonly<Record<string, (firstByte: number) => Transform>> = {
  gzip: () => createGunzip(),
  'x-gzip': () => createGunzip(),
  // RFC 1950: the low half of zlib's first byte is 8. No bare deflate stream begins so in practice.
  deflate: (firstByte) => ((firstByte & 0x0f) === 8 ? createInflate() : createInflateRaw()),
  br: () => createBrotliDecompress(),
  zstd: () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: MAX_ZSTD_WINDOW_LOG } }),
}

/**
 * Reads a body to its end and undoes one content coding. A coding that we do not know is left as it is, as browsers do.
 * Throws `response_too_large` (more than `maxBytes`), `decompression_limit`, `encoding_invalid` (not what
 * its header says, or coded more than once), or the fault of the exchange; then `source` is destroyed.
 */
export async function readBody(source: BodyStream, headers: HeaderList, limits: BodyLimits): Promise<ResponseBody> {
  try {
    return await read(source, headers, limits)
  } finally {
    source.destroy()
  }
}

async function read(
  source: BodyStream,
  headers: HeaderList,
  { maxBytes, allowTruncated = false }: BodyLimits,
): Promise<ResponseBody> {
  const codings = codingsOf(headers)
  if (codings.length > 1) {
    throw new CbtorError('encoding_invalid', `Cannot decode the body: it is coded ${codings.length} times`)
  }
  const [coding = 'identity'] = codings
  const createDecoder = DECODERS[coding]
  if (createDecoder === undefined && !allowTruncated) checkDeclaredLength(headers, maxBytes)

  const received = new Received(source)
  const first = await received.first()
  if (first === undefined) return { bytes: Buffer.alloc(0), isDecoded: false, isTruncated: false }
  const isDecoded = createDecoder !== undefined

  const collect = async (decoded: AsyncIterable<Buffer>) => {
    const chunks: Buffer[] = []
    let length = 0
    for await (const chunk of decoded) {
      chunks.push(chunk)
      length += chunk.length
      if (length > maxBytes) throw allowTruncated ? new Enough(Buffer.concat(chunks, maxBytes)) : tooLarge(maxBytes)
      if (length > RATIO_APPLIES_BEYOND && length > MAX_RATIO * received.bytes) {
        const reason = `it grows to more than ${MAX_RATIO} times its size`
        throw new CbtorError('decompression_limit', `Cannot decode the body: ${reason}`)
      }
    }
    return Buffer.concat(chunks, length)
  }

  try {
    const reading = createDecoder ? pipeline(received, createDecoder(first), collect) : collect(received)
    return { bytes: await reading, isDecoded, isTruncated: false }
  } catch (cause) {
    if (cause instanceof Enough) return { bytes: cause.bytes, isDecoded, isTruncated: true }
    if (cause instanceof CbtorError || !isDecoded) throw cause
    throw new CbtorError('encoding_invalid', `Cannot decode the body: it is not valid ${coding}`, { cause })
  }
}

/** Reads a short body that nobody wants, so that its connection can serve on. Destroys `source` when it is not short. */
export async function discardBody(source: BodyStream, clock: Clock): Promise<void> {
  using _ = clock.timer(MAX_UNWANTED_MS, () => source.destroy())
  let length = 0
  try {
    for await (const chunk of source) {
      length += chunk.length
      if (length > MAX_UNWANTED_BYTES) return
    }
  } catch {
    // Its connection is gone, and that is all there is to it.
  }
}

/** Ends the reading of a body of which there is enough. */
class Enough extends Error {
  readonly bytes: Buffer

  constructor(bytes: Buffer) {
    super('The rest of the body is not wanted')
    this.bytes = bytes
  }
}

/** What came over the wire: counted, and with its faults told apart from those of decoding it. */
class Received implements AsyncIterableIterator<Buffer> {
  bytes = 0
  readonly #chunks: AsyncIterator<Buffer>
  #ahead: Buffer | undefined

  constructor(source: BodyStream) {
    this.#chunks = source[Symbol.asyncIterator]()
  }

  /** The first byte, which stays to be read; undefined for an empty body. */
  async first(): Promise<number | undefined> {
    const { done, value } = await this.next()
    if (done) return undefined
    this.#ahead = value
    return value[0]
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Buffer>> {
    const value = this.#ahead
    if (value !== undefined) {
      this.#ahead = undefined
      return { done: false, value }
    }
    try {
      const next = await this.#chunks.next()
      if (!next.done) this.bytes += next.value.length
      return next
    } catch (error) {
      throw exchangeFailure(error)
    }
  }
}

function codingsOf(headers: HeaderList): readonly string[] {
  return valuesOf(headers, 'content-encoding')
    .flatMap((value) => value.toLowerCase().split(','))
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity')
}

function checkDeclaredLength(headers: HeaderList, maxBytes: number): void {
  const [declared] = valuesOf(headers, 'content-length')
  if (declared !== undefined && Number(declared) > maxBytes) throw tooLarge(maxBytes)
}

export function tooLarge(maxBytes: number): CbtorError {
  return new CbtorError('response_too_large', `Cannot read the body: it has more than max_bytes: ${maxBytes}`)
}

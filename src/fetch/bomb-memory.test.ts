import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'

const MIB = 1024 * 1024
const MAX_GROWTH = 32 * MIB

interface Bomb {
  readonly name: string
  /** The value of Content-Encoding. */
  readonly header: string
  encode(bytes: Buffer): Buffer
  /** What is encoded, and how often that is sent. */
  readonly mib: number
  readonly times: number
  readonly outcome: string
}

const brotli = (bytes: Buffer) =>
  brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 4, [constants.BROTLI_PARAM_LGWIN]: 24 },
  })
/** Of a window as large as the whole, which whoever decodes it would have to keep. */
const wideZstd = (bytes: Buffer) =>
  zstdCompressSync(bytes, { params: { [constants.ZSTD_c_windowLog]: 27, [constants.ZSTD_c_contentSizeFlag]: 0 } })

const BOMBS: readonly Bomb[] = [
  { name: '10 GiB of gzip', header: 'gzip', encode: gzipSync, mib: 64, times: 160, outcome: 'decompression_limit' },
  {
    name: '10 GiB of deflate',
    header: 'deflate',
    encode: deflateSync,
    mib: 64,
    times: 160,
    outcome: 'decompression_limit',
  },
  {
    name: '10 GiB of zstd',
    header: 'zstd',
    encode: zstdCompressSync,
    mib: 64,
    times: 160,
    outcome: 'decompression_limit',
  },
  { name: '256 MiB of brotli', header: 'br', encode: brotli, mib: 256, times: 1, outcome: 'decompression_limit' },
  { name: 'a window of 128 MiB', header: 'zstd', encode: wideZstd, mib: 128, times: 1, outcome: 'encoding_invalid' },
  {
    name: 'gzip in gzip, as it says',
    header: 'gzip, gzip',
    encode: nested(2),
    mib: 64,
    times: 1,
    outcome: 'encoding_invalid',
  },
  {
    name: 'five times gzip',
    header: 'gzip,gzip,gzip,gzip,gzip',
    encode: nested(5),
    mib: 64,
    times: 1,
    outcome: 'encoding_invalid',
  },
  { name: 'gzip in gzip, of which it says one', header: 'gzip', encode: nested(2), mib: 64, times: 1, outcome: 'ok' },
]

describe('a bomb', { timeout: 120_000 }, () => {
  let directory: string
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'cbtor-bombs-'))
  })
  after(() => rmSync(directory, { recursive: true }))

  for (const { name, header, encode, mib, times, outcome } of BOMBS)
    it(`takes less than 32 MiB of the process: ${name}`, async (test) => {
      const [file, warmUp] = [join(directory, 'bomb'), join(directory, 'small')]
      writeFileSync(file, encode(Buffer.alloc(mib * MIB)))
      writeFileSync(warmUp, encode(Buffer.alloc(MIB / 2)))
      const script = join(import.meta.dirname, 'test-bomb.ts')
      const { stdout } = await promisify(execFile)(process.execPath, [script, file, String(times), header, warmUp])
      const [code, ...rest] = stdout.trim().split(' ')
      const grown = Number(rest.at(-1))
      test.diagnostic(`${outcome}, ${(grown / MIB).toFixed(1)} MiB`)
      assert.equal(code, outcome, stdout)
      assert.ok(grown < MAX_GROWTH, `${name} took ${grown} bytes`)
    })
})

function nested(depth: number): (bytes: Buffer) => Buffer {
  return (bytes) => Array.from({ length: depth }).reduce<Buffer>((coded) => gzipSync(coded), bytes)
}

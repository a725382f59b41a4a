import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { FakeClock } from '../lib/fake-clock.ts'
import type { HeaderList } from './headers.ts'
import { discardBody, readBody } from './response-body.ts'

const MIB = 1024 * 1024
const ENCODERS: Record<string, (bytes: Uint8Array) => Buffer> = {
  gzip: gzipSync,
  'x-gzip': gzipSync,
  GZip: gzipSync,
  deflate: deflateSync,
  'deflate ': deflateRawSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
}

describe('readBody()', { timeout: 20_000 }, () => {
  it('undoes every coding, however the bytes arrive', async () => {
    const bytes = fc.uint8Array({ maxLength: 3000 })
    await fc.assert(
      fc.asyncProperty(
        bytes,
        fc.constantFrom(...Object.keys(ENCODERS)),
        fc.integer({ min: 1, max: 999 }),
        async (body, coding, size) => {
          const encode = ENCODERS[coding]!
          const read = await readBody(chunks(encode(body), size), encodedAs(coding), { maxBytes: MIB })
          assert.deepEqual(read, { bytes: Buffer.from(body), isDecoded: true, isTruncated: false })
        },
      ),
    )
  })

  it('leaves alone what is not coded, coded as itself, empty, or coded in a way unknown to us', async () => {
    const plain = Buffer.from('plain')
    for (const headers of [[], encodedAs('identity'), encodedAs(''), encodedAs('utf-8')]) {
      assert.deepEqual(await readBody(chunks(plain), headers, { maxBytes: 5 }), {
        ...{ bytes: plain, isDecoded: false },
        isTruncated: false,
      })
    }
    assert.deepEqual(await readBody(chunks(Buffer.alloc(0)), encodedAs('gzip'), { maxBytes: 5 }), {
      bytes: Buffer.alloc(0),
      isDecoded: false,
      isTruncated: false,
    })
  })

  it('counts maxBytes after decoding', async () => {
    const body = Buffer.alloc(1000, 'x')
    for (const [encoded, headers] of [
      [body, []],
      [gzipSync(body), encodedAs('gzip')],
    ] as const) {
      assert.equal((await readBody(chunks(encoded), headers, { maxBytes: 1000 })).bytes.length, 1000)
      await assertFails(chunks(encoded), headers, 999, 'response_too_large')
      const cut = await readBody(chunks(encoded, 7), headers, { maxBytes: 999, allowTruncated: true })
      assert.deepEqual([cut.bytes, cut.isTruncated], [body.subarray(0, 999), true])
      const whole = await readBody(chunks(encoded, 7), headers, { maxBytes: 1000, allowTruncated: true })
      assert.deepEqual([whole.bytes, whole.isTruncated], [body, false])
    }
  })

  it('refuses a declared length over maxBytes before it reads', async () => {
    let wasRead = false
    const source = new Readable({
      read() {
        wasRead = true
      },
    })
    await assertFails(source, [['content-length', '1000000000000000']], MIB, 'response_too_large')
    assert.equal(wasRead, false)
  })

  it('stops at an endless body', async () => {
    let sent = 0
    const source = new Readable({
      read() {
        sent += 1024
        this.push(Buffer.alloc(1024))
      },
    })
    await assertFails(source, [], MIB, 'response_too_large')
    assert.ok(sent < 2 * MIB, `${sent} bytes were taken`)
  })

  it('stops at a bomb, in little memory', async () => {
    const zeros = Buffer.alloc(64 * MIB)
    const bombs = Object.entries({
      gzip: gzipSync(zeros),
      br: brotliCompressSync(zeros),
      zstd: zstdCompressSync(zeros),
    })
    for (const [coding, bomb] of bombs) {
      const before = process.memoryUsage().arrayBuffers
      await assertFails(chunks(bomb), encodedAs(coding), 1024 * MIB, 'decompression_limit')
      const grown = process.memoryUsage().arrayBuffers - before
      assert.ok(grown < 32 * MIB, `${coding} took ${grown} bytes`)
    }
  })

  it('lets a small body grow more than a bomb may', async () => {
    const body = Buffer.alloc(MIB)
    assert.ok(gzipSync(body).length * 200 < body.length)
    assert.equal((await readBody(chunks(gzipSync(body)), encodedAs('gzip'), { maxBytes: 2 * MIB })).bytes.length, MIB)
  })

  it('refuses what is not what it says, is cut short, or is coded twice', async () => {
    const body = Buffer.from('some text that is long enough to be cut')
    for (const coding of ['gzip', 'deflate', 'br', 'zstd']) {
      await assertFails(chunks(Buffer.from('<html>not coded</html>')), encodedAs(coding), MIB, 'encoding_invalid')
      const cut = ENCODERS[coding]!(body).subarray(0, -5)
      await assertFails(chunks(cut), encodedAs(coding), MIB, 'encoding_invalid')
    }
    const twice = gzipSync(gzipSync(body))
    await assertFails(chunks(twice), encodedAs('gzip, gzip'), MIB, 'encoding_invalid')
    const headers: HeaderList = [...encodedAs('br'), ...encodedAs('gzip')]
    await assertFails(chunks(twice), headers, MIB, 'encoding_invalid')
  })

  it('tells a lost connection from a bad coding', async () => {
    for (const headers of [[], encodedAs('gzip')]) {
      const source = Readable.from(
        (async function* () {
          yield gzipSync(Buffer.alloc(100)).subarray(0, 15)
          throw Object.assign(new Error('socket gone'), { code: 'ECONNRESET' })
        })(),
      )
      await assertFails(source, headers, MIB, 'connection_lost')
    }
  })

  async function assertFails(source: Readable, headers: HeaderList, maxBytes: number, code: string) {
    await assert.rejects(readBody(source, headers, { maxBytes }), { name: 'CbtorError', code }, JSON.stringify(headers))
    assert.ok(source.destroyed, 'the source is destroyed')
  }
})

describe('discardBody()', { timeout: 20_000 }, () => {
  it('reads a short body to its end, and gives up a long, slow or broken one', async () => {
    const clock = new FakeClock()
    const short = chunks(Buffer.alloc(60_000))
    await discardBody(short, clock)
    assert.ok(short.readableEnded)

    const long = chunks(Buffer.alloc(MIB))
    await discardBody(long, clock)
    assert.ok(long.destroyed && !long.readableEnded)

    const broken = chunks(Buffer.alloc(MIB))
    broken.destroy(new Error('gone'))
    await discardBody(broken, clock)
    assert.equal(clock.pending, 0)

    const slow = new Readable({ read() {} })
    const discarding = discardBody(slow, clock)
    await clock.advance(1_000)
    await discarding
    assert.ok(slow.destroyed)
  })
})

function encodedAs(coding: string): HeaderList {
  return [['content-encoding', coding]]
}

function chunks(bytes: Buffer, size = 16 * 1024): Readable {
  const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  )
  return Readable.from(pieces, { objectMode: false })
}

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { carry } from './carry.ts'
import { turn } from './test-lab.ts'

const MB = 1024 * 1024

describe('carry()', { timeout: 20_000 }, () => {
  it('hands on every byte as it was, to a reader that is quick and to one that stops again and again', async () => {
    for (const isSlow of [false, true]) {
      await using lab = await startLab()
      const { source, from, to, sink } = lab
      using _ = carry(from, to)
      const sent = randomBytes(24 * MB)
      const received = createHash('sha256')
      let count = 0
      sink.on('data', (chunk: Buffer) => {
        received.update(chunk)
        count += chunk.length
        if (!isSlow) return
        sink.pause()
        setImmediate(() => sink.resume())
      })
      source.write(sent)
      while (count < sent.length) await turn()
      assert.equal(received.digest('hex'), createHash('sha256').update(sent).digest('hex'))
    }
  })

  it('shows the first piece once', async () => {
    await using lab = await startLab()
    const seen: string[] = []
    using _ = carry(lab.from, lab.to, (first) => seen.push(first.toString()))
    for (const piece of ['one', 'two']) {
      lab.source.write(piece)
      await once(lab.sink, 'data')
    }
    assert.deepEqual(seen, ['one'])
  })

  it('leaves to the next reader what comes when it is disposed, and itself nothing', async () => {
    await using lab = await startLab()
    const { source, from, to } = lab
    carry(from, to)[Symbol.dispose]()
    source.write('for somebody else')
    const [chunk] = await Promise.all([once(from, 'data'), from.resume()])
    assert.equal(String(chunk), 'for somebody else')
    assert.deepEqual([from.listenerCount('data'), to.listenerCount('drain'), to.bytesWritten], [0, 0, 0])
  })
})

/** Two connections: `source` → `from`, `to` → `sink`. */
async function startLab() {
  const server = createServer({ noDelay: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const pair = async () => {
    const outer = connect({ port: address.port, host: '127.0.0.1', noDelay: true })
    const [inner] = (await once(server, 'connection')) as [Socket]
    return { outer, inner }
  }
  const [front, back] = [await pair(), await pair()]
  return {
    source: front.outer,
    from: front.inner,
    to: back.inner,
    sink: back.outer,
    async [Symbol.asyncDispose]() {
      for (const { outer, inner } of [front, back]) for (const socket of [outer, inner]) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { it } from 'node:test'
import { Doorway } from './doorway.ts'

it('a doorway closes on clients until it is open, carries both ways, and lets go at its end', {
  timeout: 10_000,
}, async () => {
  const outside = await listening(createServer())
  const inside = await listening(createServer((socket) => socket.on('error', () => {}).pipe(socket)))
  try {
    using door = new Doorway(outside)
    assert.equal(await say(outside, 'too early'), '')
    door.open('127.0.0.1', portOf(inside))
    const long = 'a word and more '.repeat(100_000)
    assert.equal(await say(outside, long), long)

    const idle = connect({ host: '127.0.0.1', port: portOf(outside) })
    idle.write('first')
    await once(idle, 'data')
    door[Symbol.dispose]()
    assert.equal(outside.listening, false)
    await ended(idle)

    const other = await listening(createServer())
    using blind = new Doorway(other)
    blind.open('127.0.0.1', portOf(inside))
    inside.close()
    await once(inside, 'close')
    assert.equal(await say(other, 'nobody is there'), '')
  } finally {
    outside.close()
    inside.close()
  }
})

async function listening(server: Server): Promise<Server> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}

/** What comes back until the other side closes. */
async function say(server: Server, text: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: portOf(server), allowHalfOpen: true })
  let heard = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    heard += chunk
    if (heard.length === text.length) socket.end()
  })
  socket.write(text)
  await ended(socket)
  return heard
}

async function ended(socket: Socket): Promise<void> {
  socket.on('error', () => {}).on('end', () => socket.end())
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
}

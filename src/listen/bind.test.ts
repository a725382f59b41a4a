import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { bind } from './bind.ts'

describe('bind()', { timeout: 20_000 }, () => {
  let directory: string
  let servers: Server[]

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'cbtor-bind-'))
    servers = []
  })

  afterEach(() => {
    for (const server of servers) server.close()
    rmSync(directory, { recursive: true })
  })

  function server(): Server {
    const made = createServer((client) => client.on('error', () => {}).end('here'))
    servers.push(made)
    return made
  }

  it('says which address it has got', async () => {
    const bound = await bind(server(), { host: '127.0.0.1', port: 0 })
    assert.ok('port' in bound && bound.port > 0)
    await assert.rejects(bind(server(), bound), {
      code: 'invalid_input',
      message: `Cannot listen on 127.0.0.1:${bound.port}: EADDRINUSE`,
    })
  })

  it('makes a socket that is for its owner alone, and removes it at the end', async () => {
    const path = join(directory, 'api.sock')
    const before = process.umask(0)
    try {
      await bind(server(), { path })
      assert.equal(process.umask(), 0)
    } finally {
      process.umask(before)
    }
    assert.equal(statSync(path).mode & 0o777, 0o600)
    const client = connect({ path })
    assert.equal(String((await once(client, 'data'))[0]), 'here')
    await new Promise((resolve) => servers[0]?.close(resolve))
    assert.equal(existsSync(path), false)
  })

  it('makes no socket where everybody could have put another one', async () => {
    chmodSync(directory, 0o1777)
    await assert.rejects(bind(server(), { path: join(directory, 'api.sock') }), {
      code: 'invalid_input',
      message: /: everybody may write its directory/,
    })
    assert.deepEqual(readdirSync(directory), [])
  })

  it('takes the place of a socket whose process is dead, and of no other', async () => {
    const [live, path] = [join(directory, 'live.sock'), join(directory, 'dead.sock')]
    await bind(server(), { path: live })
    await assert.rejects(bind(server(), { path: live }), { message: /: another process listens there$/ })
    const dead = server()
    await bind(dead, { path })
    renameSync(path, join(directory, 'kept')) // what its end removes is not there
    await new Promise((resolve) => dead.close(resolve))
    renameSync(join(directory, 'kept'), path)
    await bind(server(), { path })
    const client = connect({ path })
    assert.equal(String((await once(client, 'data'))[0]), 'here')
  })

  it('leaves alone what is no socket, and says so', async () => {
    const file = join(directory, 'file')
    writeFileSync(file, 'mine')
    mkdirSync(join(directory, 'folder'))
    for (const path of [file, join(directory, 'folder')])
      await assert.rejects(bind(server(), { path }), { message: /something is there that is not a socket; remove it/ })
    await assert.rejects(bind(server(), { path: join(directory, 'no', 'where') }), {
      message: /its directory is not there/,
    })
    await assert.rejects(bind(server(), { path: join(directory, 'x'.repeat(107)) }), {
      message: /longer than 107 bytes/,
    })
    assert.ok(existsSync(file))
  })
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { boxFilePath, removeBoxFile } from '../../boxes/box-file.ts'
import { systemClock } from '../../lib/clock.ts'
import { silentLogger } from '../../lib/log.ts'
import { type FakeMachine, fakeMachine } from '../test-tunnels.ts'
import { TunnelHelperClient } from './client.ts'
import { TunnelServer, type TunnelServerOptions } from './serve.ts'

describe('TunnelServer and TunnelHelperClient', { timeout: 20_000 }, () => {
  it('bring tunnels up and down, and look at them, by number alone', async (t) => {
    await using machine = await fakeMachine()
    const { client, options } = serving(machine)
    await using _ = await TunnelServer.start(options, t.signal)
    assert.equal((await stat(options.socketPath)).mode & 0o777, 0o600)
    await client.up(1, t.signal)
    await client.up(2, t.signal)
    await client.reconnect(2, t.signal)
    assert.deepEqual(await client.status(2, t.signal), {
      isUp: true,
      handshakeAgeMs: 0,
      rxBytes: 92,
      txBytes: 148,
      killSwitch: true,
      defaultRoute: true,
      rule: true,
      lock: true,
      problems: [],
    })
    await client.down(1, t.signal)
    assert.deepEqual([...machine.host.links.keys()], ['wg-tor02'])
    const { isUp, problems } = await client.status(1, t.signal)
    assert.deepEqual(
      [isUp, problems],
      [false, ['There is no interface wg-tor01; bring it up with: cbtor tunnel up tor01']],
    )
  })

  it('tell the caller what is wrong, in the same words and with the same fault', async (t) => {
    await using machine = await fakeMachine()
    const { client, options } = serving(machine)
    await using _ = await TunnelServer.start(options, t.signal)
    await assert.rejects(client.up(3, t.signal), { fault: 'invalid', message: /^There is no tunnel 3: no box in/ })
    machine.host.refuse = () => 'RTNETLINK answers: Operation not permitted'
    await assert.rejects(client.up(1, t.signal), { fault: 'not-permitted', message: /Operation not permitted$/ })
    const two = boxFilePath(machine.state, 'tor02')
    await writeFile(two, '{', { mode: 0o600 })
    await assert.rejects(client.up(1, t.signal), { fault: 'invalid', message: /tor02.json: it is not JSON/ })
  })

  it('refuse two boxes with one number', async (t) => {
    await using machine = await fakeMachine()
    const { client, options } = serving(machine)
    await using _ = await TunnelServer.start(options, t.signal)
    const one = await readFile(boxFilePath(machine.state, 'tor01'), 'utf8')
    await writeFile(boxFilePath(machine.state, 'tor03'), one.replace('"tor01"', '"tor03"'), { mode: 0o600 })
    await assert.rejects(client.up(1, t.signal), {
      fault: 'invalid',
      message: /tor01 and tor03 both have tunnel number 1/,
    })
    assert.deepEqual(machine.host.changes, [])
  })

  it('leave nothing at the end, or all of it, and take over what is up', async (t) => {
    await using machine = await fakeMachine()
    const { client, options } = serving(machine)
    {
      await using _ = await TunnelServer.start({ ...options, keep: true }, t.signal)
      await client.up(1, t.signal)
    }
    assert.deepEqual([...machine.host.links.keys()], ['wg-tor01'])
    assert.equal(existsSync(options.socketPath), false)
    {
      await using _ = await TunnelServer.start(options, t.signal)
      removeBoxFile(machine.state, 'tor01')
    }
    assert.deepEqual([...machine.host.links.keys()], [])
  })

  it('hold several clients at once, one operation of a tunnel at a time', async (t) => {
    await using machine = await fakeMachine()
    const { client, options } = serving(machine)
    await using _ = await TunnelServer.start(options, t.signal)
    await Promise.all(Array.from({ length: 20 }, (_, index) => client.up((index % 2) + 1, t.signal)))
    const made = machine.host.changes.filter((change) => change.startsWith('ip link add'))
    assert.deepEqual(made.length, 2)
  })

  it('answer nonsense with a sentence, and do nothing', async (t) => {
    await using machine = await fakeMachine()
    const { options } = serving(machine)
    await using _ = await TunnelServer.start(options, t.signal)
    const nonsense = [
      'x\n',
      '{}\n',
      '{"verb":"up","n":"1;reboot"}\n',
      '{"verb":"exec","n":1}\n',
      '{"verb":"up","n":0}\n',
      '{"verb":"up","n":1.5}\n',
      '{"verb":"up","n":1,"state":"/tmp"}\n',
      `${'x'.repeat(300)}\n`,
      'x'.repeat(100_000),
    ]
    for (const line of nonsense) {
      const answer = JSON.parse(await rawAnswer(options.socketPath, line)) as {
        ok: boolean
        fault: string
        message: string
      }
      assert.deepEqual([answer.ok, answer.fault], [false, 'invalid'], line)
      assert.match(answer.message, /^Cannot read the request: (?:expected \{"verb"|a line is longer than 256 bytes)/)
    }
    assert.deepEqual(machine.host.changes, [])
  })

  it('take a request back when the client goes away', async (t) => {
    await using machine = await fakeMachine()
    machine.host.isAnswered = false
    const { client, options } = serving(machine)
    await using _ = await TunnelServer.start(options, t.signal)
    const abort = new AbortController()
    const reconnection = client.reconnect(1, abort.signal)
    await until(() => machine.host.links.get('wg-tor01')?.isUp === true)
    abort.abort(new Error('no longer needed'))
    await assert.rejects(reconnection, /no longer needed/)
    await client.down(1, t.signal)
  })

  it('do not stand in the way of another helper, but of a dead one’s socket', async (t) => {
    await using machine = await fakeMachine()
    const { options, client } = serving(machine)
    await mkdir(join(machine.state, 'run'))
    const dead = createServer().listen(options.socketPath)
    await once(dead, 'listening')
    await assert.rejects(
      TunnelServer.start(options, t.signal),
      /Cannot serve tunnels at .*: another tunnel helper serves there/,
    )
    dead.close()
    await writeFile(options.socketPath, '')
    await using _ = await TunnelServer.start(options, t.signal)
    await client.up(1, t.signal)
  })

  it('cannot serve at a path that is too long, or in a directory that is a file', async (t) => {
    await using machine = await fakeMachine()
    const { options } = serving(machine)
    const long = { ...options, socketPath: join(machine.state, 'x'.repeat(100)) }
    await assert.rejects(TunnelServer.start(long, t.signal), /its path is longer than 107 bytes/)
    const file = { ...options, socketPath: join(boxFilePath(machine.state, 'tor01'), 'socket') }
    await assert.rejects(TunnelServer.start(file, t.signal), {
      fault: 'failed',
      message: /^Cannot serve tunnels at .*: E/,
    })
    assert.equal(machine.clock.pending, 0)
  })
})

describe('TunnelHelperClient', { timeout: 20_000 }, () => {
  it('says how to start a helper when there is none', async (t) => {
    const client = new TunnelHelperClient({ socketPath: '/nonexistent/tunnel.sock', clock: systemClock })
    await assert.rejects(client.up(1, t.signal), {
      fault: 'no-helper',
      message:
        'Cannot do "up" for tunnel 1: no tunnel helper answers at /nonexistent/tunnel.sock (ENOENT). Start it as root with: cbtor tunnel serve',
    })
    await assert.rejects(client.up(1, AbortSignal.abort(new Error('stop'))), /stop/)
  })

  it('does not take every answer for one, nor wait for ever', async (t) => {
    await using machine = await fakeMachine()
    const { client, options } = serving(machine)
    await mkdir(join(machine.state, 'run'))
    let answer: string | undefined = ''
    await using server = createServer((socket) => {
      socket.on('error', () => {}).resume()
      if (answer !== undefined) socket.end(answer)
    }).listen(options.socketPath)
    await once(server, 'listening')
    const wrong: readonly (readonly [string, RegExp])[] = [
      ['', /has ended: the connection ended before a line had come/],
      ['hello\n', /Cannot read the answer of the tunnel helper: is it of the same version/],
      ['{"ok":true,"status":{"isUp":1}}\n', /Cannot read the answer/],
      ['{"ok":true}\n', /told no status of tunnel 1/],
      ['x'.repeat(100_000), /a line is longer than 65536 bytes/],
    ]
    for (const [text, message] of wrong) {
      answer = text
      await assert.rejects(client.status(1, t.signal), { fault: 'no-helper', message }, text.slice(0, 40))
    }
    answer = undefined
    const late = assert.rejects(client.status(1, t.signal), {
      fault: 'failed',
      message: /did not answer within 15000 ms/,
    })
    await machine.clock.advance(15_000)
    await late
    assert.equal(machine.clock.pending, 0)
  })
})

function serving(machine: FakeMachine): { client: TunnelHelperClient; options: TunnelServerOptions } {
  const socketPath = join(machine.state, 'run', 'tunnel.sock')
  const options = { ...machine, socketPath, keep: false, logger: silentLogger }
  return { client: new TunnelHelperClient(options), options }
}

async function rawAnswer(path: string, text: string): Promise<string> {
  const socket = connect({ path })
  socket.on('error', () => {})
  let answer = ''
  socket.setEncoding('utf8').on('data', (chunk) => {
    answer += chunk
  })
  socket.write(text)
  await once(socket, 'close')
  return answer
}

async function until(isSo: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + 5_000
  while (!isSo()) {
    assert.ok(performance.now() < giveUpAt, 'waited in vain')
    await systemClock.sleep(5)
  }
}

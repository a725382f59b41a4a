import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import fc from 'fast-check'
import type { LogFields, Logger } from '../../lib/log.ts'
import { silentLogger } from '../../lib/log.ts'
import { ControlConnection } from './connection.ts'
import { ControlClosedError, ProtocolError } from './errors.ts'
import type { ControlEvent } from './events/event.ts'
import { FakeTor } from './fake-tor.ts'
import type { Reply } from './reply.ts'

/** Answers each command with its own words, so that a reply to another command shows. */
const echo = (line: string) => `250 ${line}\r\n`

function texts(reply: Reply): string[] {
  return reply.lines.map((line) => line.text)
}

function never(): AbortSignal {
  return new AbortController().signal
}

describe('ControlConnection', { timeout: 10_000 }, () => {
  it('sends commands at once and matches the replies in order', async (t: TestContext) => {
    const tor = new FakeTor()
    await using control = new ControlConnection(tor.stream)
    const replies = ['ONE', 'TWO', 'THREE'].map((line) => control.send(line, t.signal))
    tor.send('250 1\r\n510-2\r\n510 2b\r\n250 3\r\n')
    assert.deepEqual((await Promise.all(replies)).map(texts), [['1'], ['2', '2b'], ['3']])
    assert.deepEqual(tor.received, ['ONE', 'TWO', 'THREE'])
  })

  it('gives the same replies and events however events come between replies', async (t: TestContext) => {
    const step = fc.constantFrom('650 SIGNAL NEWNYM\r\n', '650-CONF_CHANGED\r\n650 OK\r\n', undefined)
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        const tor = new FakeTor()
        await using control = new ControlConnection(tor.stream)
        const events: ControlEvent[] = []
        control.onEvent((event) => events.push(event))
        const commands = steps.flatMap((event, index) => (event === undefined ? [`COMMAND ${index}`] : []))
        const replies = commands.map((line) => control.send(line, t.signal))
        tor.send(steps.map((event, index) => event ?? `250 COMMAND ${index}\r\n`).join(''))
        assert.deepEqual((await Promise.all(replies)).flatMap(texts), commands)
        if (steps.at(-1) === undefined) assert.equal(events.length, steps.length - commands.length)
      }),
      { numRuns: 100 },
    )
  })

  it('keeps matching after a command that was given up', async (t: TestContext) => {
    const tor = new FakeTor()
    await using control = new ControlConnection(tor.stream)
    const patience = new AbortController()
    const given = control.send('ONE', patience.signal)
    const kept = control.send('TWO', t.signal)
    patience.abort(new Error('enough'))
    await assert.rejects(given, /enough/)
    tor.send('250 1\r\n250 2\r\n')
    assert.deepEqual(texts(await kept), ['2'])
  })

  it('sends nothing for a signal that is aborted already', async () => {
    const tor = new FakeTor(echo)
    await using control = new ControlConnection(tor.stream)
    await assert.rejects(control.send('ONE', AbortSignal.abort(new Error('too late'))), /too late/)
    await control.send('TWO', never())
    assert.deepEqual(tor.received, ['TWO'])
  })

  it('refuses a line that would end early, and sends nothing of it', async () => {
    const tor = new FakeTor(echo)
    await using control = new ControlConnection(tor.stream)
    for (const line of ['GETINFO x\r\nSIGNAL HALT', 'A\n', 'A\0', '\u20ac']) {
      await assert.rejects(control.send(line, never()), TypeError)
    }
    await control.send('TWO', never())
    assert.deepEqual(tor.received, ['TWO'])
  })

  it('refuses more commands than may wait', async () => {
    const tor = new FakeTor()
    await using control = new ControlConnection(tor.stream, { maxPending: 1 })
    const first = control.send('ONE', never())
    await assert.rejects(control.send('TWO', never()), /1 others wait/)
    tor.send('250 1\r\n')
    await first
  })

  it('rejects all that wait, and everything later, when Tor hangs up', async () => {
    const tor = new FakeTor()
    await using control = new ControlConnection(tor.stream)
    const waiting = [control.send('ONE', never()), control.send('TWO', never())]
    const closings: unknown[] = []
    control.onClose((reason) => closings.push(reason))
    tor.send('250-half a reply\r\n')
    tor.end()
    for (const reply of waiting) await assert.rejects(reply, ControlClosedError)
    await assert.rejects(control.send('THREE', never()), ControlClosedError)
    control.onClose((reason) => closings.push(reason))
    assert.deepEqual(closings, [control.closedBy, control.closedBy])
    assert.match(String(control.closedBy), /Tor closed the control connection/)
  })

  it('rejects all that wait when the stream fails, with its error as the cause', async () => {
    const tor = new FakeTor()
    await using control = new ControlConnection(tor.stream)
    const waiting = control.send('ONE', never())
    const fault = new Error('wire cut')
    tor.stream.destroy(fault)
    await assert.rejects(waiting, { name: 'ControlClosedError', cause: fault })
  })

  it('is closed from the start on a stream that has ended', async () => {
    const tor = new FakeTor()
    const { promise, resolve } = Promise.withResolvers<void>()
    tor.stream.once('close', resolve).destroy()
    await promise
    await using control = new ControlConnection(tor.stream)
    await assert.rejects(control.send('ONE', never()), ControlClosedError)
  })

  it('closes on a reply to no command and on what is no reply', async () => {
    for (const rubbish of ['250 OK\r\n', 'HTTP/1.1 400 Bad Request\r\n']) {
      const tor = new FakeTor()
      await using control = new ControlConnection(tor.stream)
      const closed = Promise.withResolvers<unknown>()
      control.onClose(closed.resolve)
      tor.send(rubbish)
      assert.ok((await closed.promise) instanceof ProtocolError)
      assert.ok(tor.stream.destroyed)
    }
  })

  it('tells the next listener when one throws, and logs it', async () => {
    const logged: LogFields[] = []
    const logger: Logger = { ...silentLogger, error: (fields) => logged.push(fields) }
    const tor = new FakeTor(echo)
    await using control = new ControlConnection(tor.stream, { logger })
    const fault = new Error('mine')
    const heard: string[] = []
    control.onEvent(() => {
      throw fault
    })
    const second = control.onEvent((event) => heard.push(event.type))
    tor.send('650 SIGNAL NEWNYM\r\n')
    await control.send('ONE', never())
    second[Symbol.dispose]()
    tor.send('650 SIGNAL NEWNYM\r\n')
    await control.send('TWO', never())
    assert.deepEqual(heard, ['SIGNAL'])
    assert.deepEqual(logged, [{ err: fault }, { err: fault }])
  })

  it('calls onReply before any event that follows the reply', async () => {
    const tor = new FakeTor()
    await using control = new ControlConnection(tor.stream)
    const order: string[] = []
    control.onEvent((event) => order.push(event.type))
    const reply = control.send('ONE', never(), () => order.push('reply'))
    tor.send('650 SIGNAL NEWNYM\r\n250 OK\r\n650 SIGNAL NEWNYM\r\n')
    await reply
    assert.deepEqual(order, ['SIGNAL', 'reply', 'SIGNAL'])
  })

  it('rejects with the error of an onReply that throws, and goes on', async () => {
    const tor = new FakeTor(echo)
    await using control = new ControlConnection(tor.stream)
    const fault = new Error('mine')
    const failing = control.send('ONE', never(), () => {
      throw fault
    })
    await assert.rejects(failing, fault)
    assert.deepEqual(texts(await control.send('TWO', never())), ['TWO'])
  })

  it('rejects what waits when disposed', async () => {
    const tor = new FakeTor()
    const control = new ControlConnection(tor.stream)
    const waiting = assert.rejects(control.send('ONE', never()), /closed by us/)
    await control[Symbol.asyncDispose]()
    await waiting
    assert.ok(tor.stream.closed)
  })

  it('sends small commands over TCP without delay', async () => {
    const delays: (boolean | undefined)[] = []
    class Recording extends Socket {
      override setNoDelay(noDelay?: boolean): this {
        delays.push(noDelay)
        return super.setNoDelay(noDelay)
      }
    }
    await using _ = new ControlConnection(new Recording())
    assert.deepEqual(delays, [true])
  })

  it('does not open a socket that is not there, nor after an abort', async () => {
    await assert.rejects(ControlConnection.open('/nonexistent/control', {}, never()), {
      name: 'ControlClosedError',
      message: /^Cannot connect to control socket: connect ENOENT/,
    })
    await assert.rejects(
      ControlConnection.open('/nonexistent/control', {}, AbortSignal.abort(new Error('enough'))),
      /enough/,
    )
  })
})

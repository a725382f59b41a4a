import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { codeOf } from '../../domain/errors.ts'
import { type Circuit, parseCircuit } from '../../tor/control/events/circuit.ts'
import { type ControlEvent, parseEvent } from '../../tor/control/events/event.ts'
import { ExitFault, ExitStreams } from './exit-streams.ts'

const [GUARD, OTHER, EXIT] = ['A', 'B', 'C'].map((digit) => digit.repeat(40)) as [string, string, string]
const NAME = `${'0'.repeat(32)}.onion`

/** A watch over one stream of alice's that is to leave by EXIT, and what Tor tells of it. */
function lab() {
  const circuits = new Map<string, Circuit>()
  const streams = new ExitStreams((id) => circuits.get(id))
  const awaited = streams.expect({ name: NAME, user: 'alice', exit: EXIT })
  const tell = (...lines: string[]) => {
    for (const text of lines) {
      const event: ControlEvent = parseEvent([{ code: 650, text, data: undefined }])
      const circuit = event.type === 'CIRC' ? parseCircuit(text.slice(5)) : undefined
      if (circuit) circuits.set(circuit.id, circuit)
      streams.handle(event)
    }
  }
  const outcome = async () =>
    await Promise.race([
      awaited.settled.then(
        () => 'settled' as const,
        (error: Error) => error,
      ),
      new Promise<'pending'>((resolve) => setImmediate(() => resolve('pending'))),
    ])
  return { streams, awaited, tell, outcome }
}

const NEW = `STREAM 7 NEW 0 ${NAME}:80 SOCKS_USERNAME="alice" PURPOSE=USER`
const REMAP = `STREAM 7 REMAP 0 a.test.${EXIT}.exit:80 SOURCE=CACHE SOCKS_USERNAME="alice"`
const built = (id: string, exit: string) =>
  `CIRC ${id} BUILT $${GUARD}~g,$${exit}~x PURPOSE=GENERAL SOCKS_USERNAME="alice"`
const failed = (id: string, user = 'alice') => `CIRC ${id} FAILED $${GUARD}~g PURPOSE=GENERAL SOCKS_USERNAME="${user}"`
const stream = (status: string, circuit = '3', rest = '') =>
  `STREAM 7 ${status} ${circuit} a.test.${EXIT}.exit:80 SOCKS_USERNAME="alice" ${rest}`

function codeOfFault(error: unknown): string {
  assert.ok(error instanceof ExitFault, String(error))
  return error.problem.code
}

describe('ExitStreams', () => {
  it('settles once the stream has succeeded on a circuit that ends at its exit', async () => {
    const { tell, outcome, awaited } = lab()
    tell(NEW, REMAP, built('3', EXIT), stream('SENTCONNECT'))
    assert.equal(await outcome(), 'pending')
    tell(stream('SUCCEEDED'))
    assert.equal(await outcome(), 'settled')
    tell(stream('CLOSED', '3', 'REASON=END REMOTE_REASON=DONE'))
    assert.equal(awaited.failed.aborted, false)
  })

  it('fails a stream that Tor puts on any other circuit, or on one that nobody knows', async () => {
    for (const circuit of [built('3', OTHER), built('4', EXIT)]) {
      for (const status of ['SENTCONNECT', 'SUCCEEDED']) {
        const { tell, outcome, awaited } = lab()
        tell(NEW, circuit, stream(status))
        const error = await outcome()
        assert.ok(error instanceof Error && !(error instanceof ExitFault))
        assert.match(error.message, /does not end at the exit/)
        assert.equal(awaited.failed.aborted, true)
      }
    }
  })

  it('takes the first word of an exit for the last', async () => {
    const cases = [
      ['REASON=END REMOTE_REASON=RESOLVEFAILED', 'resolve_failed'],
      ['REASON=END REMOTE_REASON=CONNECTREFUSED', 'connection_refused'],
      ['REASON=END REMOTE_REASON=MISC', 'tor_failure'],
    ] as const
    for (const [reason, code] of cases) {
      const { tell, outcome, awaited } = lab()
      tell(NEW, built('3', EXIT), stream('SENTCONNECT'), stream('DETACHED', '3', reason))
      const error = await outcome()
      assert.ok(!(error instanceof ExitFault), 'another exit would find the same')
      assert.equal(codeOf(error), code)
      assert.equal(awaited.failed.reason, error)
    }
  })

  it('blames the exit for its policy, for its silence, and when Tor does not know it', async () => {
    const cases = [
      [stream('DETACHED', '3', 'REASON=END REMOTE_REASON=EXITPOLICY'), 'exit_policy', true],
      [stream('DETACHED', '3', 'REASON=TIMEOUT'), 'tor_failure', false],
      [stream('FAILED', '0', 'REASON=CANT_ATTACH'), 'tor_failure', false],
      [stream('FAILED', '0', 'REASON=TORPROTOCOL'), 'tor_failure', false],
    ] as const
    for (const [line, code, isOfPort] of cases) {
      const { tell, outcome } = lab()
      tell(NEW, built('3', EXIT), line)
      const error = await outcome()
      assert.equal(codeOfFault(error), code)
      assert.equal(error instanceof ExitFault && error.isOfPort, isOfPort)
    }
  })

  it('lets Tor try three circuits, and counts those that break under the stream', async () => {
    const { tell, outcome } = lab()
    tell(failed('1'), NEW, failed('2'), failed('8', 'bob'), built('3', EXIT), stream('SENTCONNECT'))
    tell(failed('9'), stream('DETACHED', '3', 'REASON=DESTROY'))
    assert.equal(await outcome(), 'pending')
    tell(failed('4'))
    assert.equal(codeOfFault(await outcome()), 'tor_failure')
  })

  it('knows a question that the exit has answered from one that nobody has asked it', async () => {
    const asked = NEW.replace('NEW', 'NEWRESOLVE')
    const answered = lab()
    answered.tell(asked, built('3', EXIT), stream('SENTRESOLVE'), stream('CLOSED', '3', 'REASON=DONE'))
    assert.equal(await answered.outcome(), 'settled')
    const madeUp = lab()
    madeUp.tell(asked, stream('CLOSED', '0', 'REASON=DONE'))
    assert.equal(codeOf(await madeUp.outcome()), 'exit_rule_unsupported')
    const hungUp = lab()
    hungUp.tell(NEW, built('3', EXIT), stream('SENTCONNECT'), stream('CLOSED', '3', 'REASON=DONE'))
    assert.ok((await hungUp.outcome()) instanceof ExitFault)
  })

  it('hears of no stream of another user or name, and of none that nobody waits for any more', async () => {
    const { tell, outcome, awaited, streams } = lab()
    tell(NEW.replace('alice', 'mallory'), stream('FAILED', '0', 'REASON=CANT_ATTACH'))
    tell(NEW.replace(NAME, 'a.test'), stream('FAILED', '0', 'REASON=CANT_ATTACH'))
    assert.equal(await outcome(), 'pending')
    tell(NEW)
    awaited[Symbol.dispose]()
    tell(stream('FAILED', '0', 'REASON=CANT_ATTACH'))
    streams.lost(new Error('gone'))
    assert.equal(await outcome(), 'pending')
  })

  it('fails all that wait when the control port is lost', async () => {
    const { streams, outcome } = lab()
    const error = new Error('gone')
    streams.lost(error)
    assert.equal(await outcome(), error)
  })
})

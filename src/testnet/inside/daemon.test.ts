import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Daemon } from './daemon.ts'

const OPTIONS = { timeout: 10_000 }

it('waits for a line, also one that has been logged already', OPTIONS, async () => {
  await using daemon = shell('echo ready; exec sleep 60')
  daemon.start()
  await daemon.reached(/ready/, AbortSignal.timeout(5_000))
  await daemon.reached(/ready/, AbortSignal.timeout(5_000))
  assert.ok(daemon.pid)
})

it('tells how a process ended, and its last lines', OPTIONS, async () => {
  await using daemon = shell('echo one; echo two >&2; exit 3')
  daemon.start()
  await assert.rejects(daemon.reached(/never/, AbortSignal.timeout(5_000)), (error: Error) => {
    assert.match(error.message, /^subject ended \(exit code 3\)/)
    assert.match(error.message, /one/)
    assert.match(error.message, /two/)
    return true
  })
  assert.match(daemon.failure?.message ?? '', /exit code 3/)
  assert.equal(daemon.pid, undefined)
})

it('tells when a program cannot be started', OPTIONS, async () => {
  await using daemon = new Daemon('subject', ['/no/such/program'], () => {})
  daemon.start()
  await assert.rejects(daemon.reached(/never/, AbortSignal.timeout(5_000)), /ENOENT/)
})

it('gives up waiting with the reason of the signal', OPTIONS, async () => {
  await using daemon = shell('echo here; exec sleep 60')
  daemon.start()
  await daemon.reached(/here/, AbortSignal.timeout(5_000))
  const aborted = AbortSignal.abort(new Error('no more time'))
  await assert.rejects(daemon.reached(/never/, aborted), /subject did not log \/never\/: no more time.*\n {2}here/)
})

it('kills a process that is frozen', OPTIONS, async () => {
  const changes: boolean[] = []
  await using daemon = new Daemon('subject', ['sleep', '60'], () => changes.push(daemon.pid !== undefined))
  daemon.start()
  daemon.signal('SIGSTOP')
  await daemon.kill()
  assert.equal(daemon.pid, undefined)
  assert.deepEqual(changes, [true, false])
})

it('does not start again once it is disposed of', OPTIONS, async () => {
  const daemon = shell('exec sleep 60')
  await daemon[Symbol.asyncDispose]()
  assert.throws(() => daemon.start(), /the network was closed/)
})

function shell(script: string): Daemon {
  return new Daemon('subject', ['sh', '-c', script], () => {})
}

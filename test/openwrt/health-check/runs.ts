import assert from 'node:assert/strict'
import { type BoxOptions, HealthBox, statusOf } from './box.ts'

const STATES = ['HEALTHY', 'STARTING', 'DEGRADED', 'RESTARTING', 'OFFLINE', 'STOPPED']
const KEYS = ['checked', 'state', 'reason', 'since', 'tried', 'version', 'pid']

/** Like a box that has been up for a while. */
export async function grownBox(options: BoxOptions = {}): Promise<HealthBox> {
  const box = await HealthBox.create(options)
  await box.grown()
  return box
}

/** A box that its script has taken off the network. */
export async function offlineBox(options: BoxOptions = {}): Promise<HealthBox> {
  const box = await grownBox({ plan: { tests: ['refuses'] }, ...options })
  await run(box)
  assert.equal((await box.status()).state, 'OFFLINE')
  return box
}

/** What a run does; and whoever read the status meanwhile never read half of one. */
export async function run(box: HealthBox): Promise<readonly string[]> {
  const { transcript, statuses } = await box.run()
  for (const text of statuses) {
    const status = statusOf(text)
    assert.deepEqual(Object.keys(status), KEYS, text)
    assert.ok(text.endsWith('\n') && STATES.includes(status.state ?? ''), text)
  }
  return transcript
}

/** Runs the script once. Each line of the transcript is what it did, after the state that its status file told just then. */
export async function assertRun(box: HealthBox, transcript: string): Promise<void> {
  const expected = transcript.trim().split('\n')
  assert.deepEqual(
    await run(box),
    expected.map((line) => line.trim()),
    await box.log(),
  )
}

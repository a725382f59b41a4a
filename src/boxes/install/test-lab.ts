import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../lib/clock.ts'
import { BoxShell } from '../remote/box-shell.ts'
import { FakeBox } from './fake-box.ts'
import { install, showChanges, uninstall } from './installer.ts'
import { readJournal } from './journal.ts'
import { planInstall } from './plan.ts'

export const HOST_KEY = `SHA256:${'k'.repeat(43)}`
export const PAYLOAD = join(import.meta.dirname, '..', '..', '..', 'openwrt')
const never = new AbortController().signal

/** Waits take no time. */
function hastyClock(): Clock {
  let now = 1_000_000
  return {
    now: () => now,
    monotonic: () => now,
    sleep: async (ms) => {
      now += ms
    },
    timer: () => ({ [Symbol.dispose]() {} }),
  }
}

/** A box in memory, and a gateway that installs it. */
export function lab() {
  const directory = mkdtempSync(join(tmpdir(), 'cbtor-install-'))
  const state = join(directory, 'state')
  let box = new FakeBox()
  const shell = (signal = never) => new BoxShell(box, signal)
  const request = (more: object = {}) => ({
    destination: { user: 'root', host: '192.0.2.11', port: 22 },
    hostKey: HOST_KEY,
    keyFile: '/keys/id',
    stateDirectory: state,
    clock: hastyClock(),
    ...more,
  })
  const plan = (more: object = {}) => planInstall(shell(), request(more))
  return {
    get box() {
      return box
    },
    /** Sets the box up anew. */
    reset() {
      box = new FakeBox()
    },
    state,
    directory,
    plan,
    dryRun: async (more: object = {}) => await showChanges(shell(), await plan(more)),
    install: async (more: object = {}, signal = never) =>
      await install({ box: shell(signal), plan: await plan(more), request: request(more), signal }),
    async uninstall() {
      const earlier = await readJournal(shell())
      assert.ok(earlier)
      return await uninstall(shell(), earlier, 'opkg')
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  }
}

/** The changes as lines. */
export function linesOf(changes: Awaited<ReturnType<typeof showChanges>>): string[] {
  return changes.flatMap((step) => step.changes)
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BoxFile, writeBoxFile } from '../boxes/box-file.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { FakeHost } from './fake-host.ts'
import { testBox } from './test-spec.ts'

/** A made-up machine and a real state directory with box files. */
export interface FakeMachine extends AsyncDisposable {
  readonly clock: FakeClock
  readonly host: FakeHost
  readonly state: string
}

/** By default with the boxes tor01 and tor02. */
export async function fakeMachine(boxes: readonly BoxFile[] = twoBoxes()): Promise<FakeMachine> {
  const clock = new FakeClock(1_800_000_000_000)
  const state = await mkdtemp(join(tmpdir(), 'cbtor-tunnels-'))
  for (const box of boxes) writeBoxFile(state, box)
  return {
    clock,
    host: new FakeHost(clock),
    state,
    [Symbol.asyncDispose]: async () => await rm(state, { recursive: true, force: true }),
  }
}

function twoBoxes(): readonly BoxFile[] {
  return [testBox(), testBox({ n: 2, listenPort: 51822 }, 'tor02')]
}

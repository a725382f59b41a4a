import { InstallError } from '../install-error.ts'
import { type Finding, judgeRunning, type RunningWanted, readRunning } from '../running.ts'
import type { Step } from './step.ts'

/** A slow box takes its time until Tor listens and the firewall has been rebuilt. */
const RIGHT_WITHIN_MS = 45_000
const LOOK_EVERY_MS = 500

/** Waits until all that must run runs. Tor's bootstrap is not waited for: it depends on the world. */
export function verifyStep(wanted: RunningWanted): Step {
  return {
    name: 'verification',
    look: async () => [],
    apply: async ({ box, clock, signal }) => {
      const by = clock.monotonic() + RIGHT_WITHIN_MS
      let wrong: readonly Finding[]
      do {
        wrong = judgeRunning(await readRunning(box), wanted).filter(({ isRight }) => !isRight)
        if (wrong.length === 0) return
        await clock.sleep(LOOK_EVERY_MS, signal)
      } while (clock.monotonic() < by)
      throw new InstallError(
        `Cannot make a worker of the box: ${wrong.map(({ name, text, mend }) => `${name}: ${text}. ${mend}`).join('. ')}`,
      )
    },
  }
}

import type { Clock } from '../../../lib/clock.ts'
import type { PackageManager } from '../../box-file.ts'
import type { BoxShell } from '../../remote/box-shell.ts'
import type { BoxFacts } from '../facts.ts'
import type { JournalKeeper } from '../journal.ts'

/** One step of an installation. All that it changes it notes in the journal first; `undo.ts` takes it back from there. */
export interface Step {
  /** Completes "The step …". */
  readonly name: string
  /** What `apply` would change, a readable line each; nothing when all is as it is to be. */
  look(box: BoxShell): Promise<readonly string[]>
  /** Makes it so. May be cut off anywhere and run again. */
  apply(run: StepRun): Promise<void>
}

export interface StepRun {
  readonly box: BoxShell
  readonly keeper: JournalKeeper
  readonly facts: BoxFacts
  readonly packageManager: PackageManager
  readonly clock: Clock
  readonly signal: AbortSignal
}

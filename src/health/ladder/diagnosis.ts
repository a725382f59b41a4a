import type { RecoveryStep } from '../recovery.ts'

/** A step that only looks, and remembers what it saw for those that follow. */
export interface Diagnosis extends RecoveryStep {
  readonly isDiagnosis: true
  hasPassed(): boolean
}

export function diagnosis(step: RecoveryStep): Diagnosis {
  let passed = false
  return {
    ...step,
    isDiagnosis: true,
    hasPassed: () => passed,
    async run(signal) {
      const outcome = await step.run(signal)
      passed = true
      return outcome
    },
  }
}

import { dirname } from 'node:path/posix'
import { applyEdit, type FileEdit, lookAtEdit } from '../file-edit.ts'
import type { Journal } from '../journal.ts'
import type { Step } from './step.ts'

/** A group of files that are edited, and the directories that they need. `journal`: of an earlier run, if there was one. */
export function filesStep(name: string, edits: readonly FileEdit[], journal: Journal | undefined): Step {
  const directories = [...new Set(edits.flatMap(({ path }) => parentsOf(path)))]
  return {
    name,
    look: async (box) => {
      const changes: string[] = []
      for (const edit of edits) changes.push(...(await lookAtEdit(box, journal, edit)))
      return changes
    },
    apply: async ({ box, keeper }) => {
      const missing = await box.missingDirectories(directories)
      await keeper.note(({ original, run }) => {
        for (const ledger of run ? [original, run] : [original])
          ledger.directories.push(...missing.filter((path) => !ledger.directories.includes(path)))
      })
      await box.makeDirectories(missing)
      for (const edit of edits) await applyEdit(box, keeper, edit)
    },
  }
}

/** Directories above a file, those nearest to the root first. */
function parentsOf(path: string): string[] {
  const parent = dirname(path)
  return parent === '/' ? [] : [...parentsOf(parent), parent]
}

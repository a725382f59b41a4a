import { z } from 'zod'
import type { Reloaded } from '../../domain/reload.ts'

const workerIds = z.array(z.string())

export const reloadedBody = z
  .object({
    applied: z
      .array(
        z.object({
          field: z.string().meta({ examples: ['health.check_interval'] }),
          from: z
            .unknown()
            .describe('As it was, as it would be written; null when nothing was said. Secrets are struck out.'),
          to: z.unknown().describe('As it is from now on.'),
        }),
      )
      .describe('Fields that hold as they are written from now on.'),
    workers: z
      .object({
        added: workerIds,
        removed: workerIds.describe('They finish their requests, within 30 s, and are gone then.'),
        changed: workerIds.describe('Removed and added by the same id and number, one after the other.'),
      })
      .describe('Workers that come and go, by id.'),
    needs_restart: z.array(z.string()).describe('Fields that hold as they are written from the next start on.'),
    notes: z.array(z.string()).describe('What else is to be known, a sentence each.'),
    unchanged: z.boolean().describe('Whether the configuration says what it said before.'),
  })
  .meta({ id: 'ReloadedConfig' })

export type ReloadedBody = z.output<typeof reloadedBody>

export function toReloadedBody({ applied, workers, needsRestart, notes }: Reloaded): ReloadedBody {
  const { added, removed, changed } = workers
  return {
    applied: applied.map(({ field, from, to }) => ({ field, from: from ?? null, to: to ?? null })),
    workers: { added: [...added], removed: [...removed], changed: [...changed] },
    needs_restart: [...needsRestart],
    notes: [...notes],
    unchanged: [applied, added, removed, changed, needsRestart].every(({ length }) => length === 0),
  }
}

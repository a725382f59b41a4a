import { z } from 'zod'
import { isoTime } from '../../lib/iso-time.ts'
import type { ReplicasView } from '../views.ts'
import { count, instant, oneOf } from './common.ts'
import { isoTimeOrNull } from './worker.ts'

export const replicasBody = z
  .object({
    store: z.object({
      kind: oneOf(['embedded', 'shared']).describe('embedded: this gateway is alone.'),
      up: z.boolean(),
      down_since: instant.nullable(),
      pending: count.describe(
        'Changes that the store does not have yet: they hold here, and go there when it is back.',
      ),
    }),
    replicas: z.array(
      z.object({
        name: z.string(),
        version: z.string(),
        started_at: instant,
        self: z.boolean().describe('The one that answers.'),
        heals: count.describe(
          'Of the workers that several gateways reach: those that it probes and heals. Alone: all of them.',
        ),
      }),
    ),
  })
  .meta({ id: 'Replicas' })

export type ReplicasBody = z.output<typeof replicasBody>

export function toReplicasBody({ store, replicas }: ReplicasView): ReplicasBody {
  const { kind, isUp, downSince, pending } = store
  return {
    store: { kind, up: isUp, down_since: isoTimeOrNull(downSince), pending },
    replicas: replicas.map(({ name, version, startedAt, isSelf, heals }) => ({
      ...{ name, version, started_at: isoTime(startedAt), self: isSelf, heals },
    })),
  }
}

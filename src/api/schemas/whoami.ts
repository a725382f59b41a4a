import type { z } from 'zod'
import { oneOf } from './common.ts'
import { keyBody } from './key.ts'

export const whoamiBody = keyBody
  .pick({ id: true, name: true, scopes: true, expires_at: true, limits: true })
  .extend({
    auth: oneOf(['on', 'off']).describe('`off`: nobody is asked for a key, and everybody may everything.'),
  })
  .meta({ id: 'Whoami' })

export type WhoamiBody = z.output<typeof whoamiBody>

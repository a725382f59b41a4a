import type { Caller } from '../../domain/caller.ts'
import type { ApiApp } from '../app.ts'
import { documented } from '../docs/documented.ts'
import type { Keys } from '../keys.ts'
import { toKeyBody } from '../schemas/key.ts'
import { type WhoamiBody, whoamiBody } from '../schemas/whoami.ts'

export function whoamiRoutes(app: ApiApp, keys: Keys, auth: 'on' | 'off'): void {
  app.get(
    '/api/v1/whoami',
    {
      schema: {
        tags: ['Core'],
        operationId: 'whoAmI',
        summary: 'Who the key is and what it may',
        description: 'Takes any key that is good, whatever its scopes. Where no key is asked for, it is `anybody`.',
        response: { 200: whoamiBody },
        ...documented({ answered: 'The key, without its secret.', answer: ANSWER, problems: [] }),
      },
    },
    async ({ caller }) => whoIs(caller, keys, auth),
  )
}

function whoIs({ id, scopes, limits, targets }: Caller, keys: Keys, auth: 'on' | 'off'): WhoamiBody {
  const key = keys.list().find((each) => each.id === id)
  const nobody = { name: id, scopes: [...scopes], limits, targets, createdAt: 0, expiresAt: undefined }
  const shown = toKeyBody(key ?? { id, ...nobody, lastUsedAt: undefined })
  return {
    id,
    name: shown.name,
    scopes: shown.scopes,
    expires_at: shown.expires_at,
    limits: shown.limits,
    auth,
  }
}

const ANSWER: WhoamiBody = {
  id: '7Kq2mXw0',
  name: 'a crawler',
  scopes: ['fetch', 'workers:read'],
  expires_at: null,
  limits: { rate: 5, burst: null, concurrent: 20, bytes_per_day: null },
  auth: 'on',
}

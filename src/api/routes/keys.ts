import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import type { ApiApp } from '../app.ts'
import { documented } from '../docs/documented.ts'
import type { Keys } from '../keys.ts'
import { InputError } from '../problems.ts'
import { refuseBody } from '../refuse-body.ts'
import {
  createdKeyBody,
  type KeyBody,
  keyBody,
  keyParams,
  keysBody,
  newKeyBody,
  toKeyBody,
  toKeyOrder,
} from '../schemas/key.ts'

export function keyRoutes(app: ApiApp, keys: Keys, clock: Clock, logger: Logger): void {
  app.get(
    '/api/v1/keys',
    {
      schema: {
        tags: ['Keys'],
        operationId: 'listKeys',
        summary: 'List the keys',
        description: 'Those that are not revoked, the oldest first, without their secrets, which nobody has kept.',
        response: { 200: keysBody },
        ...documented({ answered: 'The keys.', answer: { keys: [KEY] }, problems: [] }),
      },
    },
    async () => ({ keys: keys.list().map(toKeyBody) }),
  )

  app.post(
    '/api/v1/keys',
    {
      schema: {
        tags: ['Keys'],
        operationId: 'createKey',
        summary: 'Make a key',
        description:
          'Answers the key, this once: the service keeps but a digest of it. The same key is for the API, as `Authorization: Bearer KEY`, and with the scope `proxy` the password of the proxy ports.',
        body: newKeyBody,
        response: { 200: createdKeyBody },
        ...documented({
          answered: 'The key is made.',
          requests: {
            'For a crawler': { name: 'crawler', scopes: ['fetch', 'proxy'] },
            'For a guest': {
              name: 'guest',
              scopes: ['proxy'],
              expires_at: '2099-01-31T12:00:00Z',
              limits: { rate: 2, burst: 10, concurrent: 4, bytes_per_day: 1_000_000_000 },
              targets: { allow: ['example.com', ':443'] },
            },
          },
          answer: { ...KEY, key: `cbt_${KEY.id}_${'0'.repeat(43)}` },
          problems: [],
        }),
      },
    },
    async ({ body, caller }) => {
      const order = toKeyOrder(body)
      if (order.expiresAt !== undefined && order.expiresAt <= clock.now()) {
        throw new InputError([{ path: 'expires_at', message: 'must be in the future' }])
      }
      const { key, text } = keys.create(order)
      logger.info({ key: key.id, scopes: key.scopes, by: caller.id }, 'key made')
      return { ...toKeyBody(key), key: text }
    },
  )

  app.delete(
    '/api/v1/keys/:id',
    {
      schema: {
        tags: ['Keys'],
        operationId: 'revokeKey',
        summary: 'Revoke a key',
        description:
          'From now on it is of no use: requests with it are refused, and its running fetches, tunnels and streams of events end. It cannot be taken back.',
        params: keyParams,
        response: { 200: keyBody },
        ...documented({
          answered: 'The key, as it was.',
          answer: KEY,
          problems: ['invalid_input', 'unsupported_media_type', 'key_not_found'],
        }),
      },
      preValidation: async (request) => refuseBody(request.body),
    },
    async ({ params, caller }) => {
      const revoked = keys.revoke(params.id)
      logger.info({ key: revoked.id, by: caller.id }, 'key revoked')
      return toKeyBody(revoked)
    },
  )
}

const KEY: KeyBody = {
  id: '7Kq2mXw0',
  name: 'crawler',
  scopes: ['fetch', 'proxy'],
  created_at: '2026-01-31T12:00:00.000Z',
  expires_at: null,
  last_used_at: '2026-01-31T14:00:00.000Z',
  limits: { rate: null, burst: null, concurrent: null, bytes_per_day: null },
  targets: { allow: [], deny: [] },
}

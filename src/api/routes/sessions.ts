import { type Caller, mayUse } from '../../domain/caller.ts'
import { CbtorError } from '../../domain/errors.ts'
import { printable } from '../../lib/printable.ts'
import type { ApiApp } from '../app.ts'
import type { Backend } from '../backend.ts'
import { documented } from '../docs/documented.ts'
import { refuseBody } from '../refuse-body.ts'
import {
  type SessionBody,
  sessionBody,
  sessionParams,
  sessionQuery,
  sessionsBody,
  toSessionBody,
} from '../schemas/session.ts'

/** There may be 100,000: to write all of them would keep everybody else waiting for seconds. */
const MAX_SHOWN = 1_000

export function sessionRoutes(app: ApiApp, backend: Backend): void {
  app.get(
    '/api/v1/sessions',
    {
      schema: {
        tags: ['Sessions'],
        operationId: 'listSessions',
        summary: 'List the sessions',
        description:
          "The caller's sticky keys that are in use, the 1,000 that were used last, the latest first; with the scope `admin` those of all callers.",
        response: { 200: sessionsBody },
        ...documented({ answered: 'The sessions.', answer: { sessions: [SESSION] }, problems: [] }),
      },
    },
    async ({ caller }) => {
      const whose = mayUse(caller, 'admin') ? {} : { owner: caller.id }
      return { sessions: backend.sessions({ ...whose, limit: MAX_SHOWN }).map(toSessionBody) }
    },
  )

  app.get(
    '/api/v1/sessions/:key',
    {
      schema: {
        tags: ['Sessions'],
        operationId: 'getSession',
        summary: 'Get a session',
        description: 'The session of a sticky key: its worker, its exit and how long it lasts.',
        params: sessionParams,
        querystring: sessionQuery,
        response: { 200: sessionBody },
        ...documented({ answered: 'The session.', answer: SESSION, problems: ['session_not_found'] }),
      },
    },
    async ({ caller, params, query }) => toSessionBody(find(caller, params.key, query.owner)),
  )

  app.post(
    '/api/v1/sessions/:key/rotate',
    {
      schema: {
        tags: ['Sessions'],
        operationId: 'rotateSession',
        summary: 'Give a session new circuits',
        description:
          'The session keeps its worker and gets a new identity, at once: its next request uses other circuits and connections, likely another exit. Requests that are running go on.',
        params: sessionParams,
        querystring: sessionQuery,
        response: { 200: sessionBody },
        ...documented({
          answered: 'The session has a new identity.',
          answer: { ...SESSION, exit: null },
          problems: ['invalid_input', 'unsupported_media_type', 'session_not_found'],
        }),
      },
      preValidation: async (request) => refuseBody(request.body),
    },
    async ({ caller, params, query }) =>
      toSessionBody(await backend.rotateSession(find(caller, params.key, query.owner))),
  )

  app.delete(
    '/api/v1/sessions/:key',
    {
      schema: {
        tags: ['Sessions'],
        operationId: 'endSession',
        summary: 'End a session',
        description:
          'Forgets the session and drops its connections. Requests that are running go on. A later request with the same key begins a new session.',
        params: sessionParams,
        querystring: sessionQuery,
        response: { 200: sessionBody },
        ...documented({
          answered: 'The session, as it was.',
          answer: SESSION,
          problems: ['invalid_input', 'unsupported_media_type', 'session_not_found'],
        }),
      },
      preValidation: async (request) => refuseBody(request.body),
    },
    async ({ caller, params, query }) => toSessionBody(await backend.endSession(find(caller, params.key, query.owner))),
  )

  /** Another caller's session is as if it were not there. */
  function find(caller: Caller, key: string, owner = caller.id) {
    const isShown = owner === caller.id || mayUse(caller, 'admin')
    const session = isShown ? backend.session({ owner, key }) : undefined
    if (session !== undefined) return session
    throw new CbtorError('session_not_found', `Cannot find session "${printable(key)}": no such sticky key is in use`)
  }
}

const SESSION: SessionBody = {
  key: 'my-session-123',
  owner: '7Kq2',
  worker: 'tor02',
  exit: {
    nickname: 'exit2',
    fingerprint: 'A1B2C3D4E5F60718293A4B5C6D7E8F9001122334',
    address: '203.0.113.7',
    country: 'de',
  },
  created_at: '2026-01-31T12:00:00.000Z',
  last_used_at: '2026-01-31T12:04:10.000Z',
  requests: 12,
  expires_at: '2026-01-31T13:00:00.000Z',
  moved: 0,
}

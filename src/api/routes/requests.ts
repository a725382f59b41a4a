import type { ApiApp } from '../app.ts'
import { demandScope } from '../authenticate.ts'
import type { Backend } from '../backend.ts'
import { documented } from '../docs/documented.ts'
import { type LiveRequestBody, requestsBody, requestsQuery, toLiveRequestBody } from '../schemas/requests.ts'

export function requestRoutes(app: ApiApp, backend: Backend): void {
  app.get(
    '/api/v1/requests',
    {
      schema: {
        tags: ['Operation'],
        operationId: 'listRequests',
        summary: 'The requests to targets that are under way',
        description:
          'Fetches, tunnels and whatever else goes to a target just now, the oldest first. Where they go is told to a key with the scope `admin` alone, and only when it asks with `targets=true`.',
        querystring: requestsQuery,
        response: { 200: requestsBody },
        ...documented({
          answered: 'The requests.',
          answer: { requests: UNDER_WAY, total: UNDER_WAY.length },
          problems: ['invalid_input'],
        }),
      },
    },
    async ({ query, caller }) => {
      const withHosts = query.targets === 'true'
      if (withHosts) demandScope(caller, 'admin')
      const { requests, total } = backend.requestsUnderWay()
      return {
        requests: requests.map((each) => ({
          ...toLiveRequestBody(each),
          ...(withHosts && { host: each.host ?? null }),
        })),
        total,
      }
    },
  )
}

/** For the documents. */
export const UNDER_WAY: LiveRequestBody[] = [
  {
    ...{ id: 1_204, kind: 'fetch', class: 'clear', port: 443, key: '7Kq2mXw0', worker: 'tor02' },
    started_at: '2026-01-31T12:05:11.480Z',
  },
]

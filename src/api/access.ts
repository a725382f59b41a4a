import type { Scope } from '../domain/caller.ts'

/** The scope that a route takes. `public`: nobody is asked for a key; `any`: whatever the key may, it must be a good one. */
export type Access = Scope | 'public' | 'any'

/**
 * Who may use which route: all of them are here, and the API does not start with one that is not, or with a row that is no
 * route's. Whoever adds a route adds its row.
 *
 * Public is what says no more than the program itself, which anybody can download: that it runs, and pages that are the same in
 * every installation. (Likewise a path that is nowhere is told from one that is there without a key: the document has them all.)
 */
export const ACCESS: Readonly<Record<string, Access>> = {
  'GET /healthz': 'public',
  'GET /': 'public',
  'GET /page/*': 'public',
  'GET /openapi.json': 'public',
  'GET /docs': 'public',
  'GET /docs/': 'public',
  'GET /docs/json': 'public',
  'GET /docs/yaml': 'public',
  'GET /docs/static/index.html': 'public',
  'GET /docs/static/swagger-initializer.js': 'public',
  'GET /docs/static/*': 'public',
  'GET /redoc': 'public',
  'GET /redoc/redoc.js': 'public',
  'GET /problems/:code': 'public',
  'GET /manual': 'public',
  'GET /manual/': 'public',
  'GET /manual/*': 'public',
  'GET /manual/search': 'public',

  'GET /api/v1/whoami': 'any',
  // Each of its tools takes the scope of the route that does the same.
  'POST /mcp': 'any',

  'POST /api/v1/fetch': 'fetch',
  'GET /api/v1/fetch/raw': 'fetch',
  'POST /api/v1/fetch/raw': 'fetch',

  'POST /api/v1/jobs': 'fetch',
  'GET /api/v1/jobs': 'fetch',
  'GET /api/v1/jobs/:id': 'fetch',
  'GET /api/v1/jobs/:id/results': 'fetch',
  'GET /api/v1/jobs/:id/results/:n': 'fetch',
  'POST /api/v1/jobs/:id/cancel': 'fetch',
  'DELETE /api/v1/jobs/:id': 'fetch',

  'GET /api/v1/sessions': 'sessions',
  'GET /api/v1/sessions/:key': 'sessions',
  'POST /api/v1/sessions/:key/rotate': 'sessions',
  'DELETE /api/v1/sessions/:key': 'sessions',

  'GET /api/v1/health': 'workers:read',
  'GET /api/v1/mode': 'workers:read',
  'GET /api/v1/endpoints': 'workers:read',
  'GET /api/v1/replicas': 'workers:read',
  'GET /api/v1/tor/workers': 'workers:read',
  'GET /api/v1/tor/workers/:n': 'workers:read',
  'GET /api/v1/tor/status': 'workers:read',
  'GET /api/v1/events': 'workers:read',
  'GET /api/v1/events/stream': 'workers:read',
  'GET /api/v1/live': 'workers:read',
  'GET /api/v1/live/stream': 'workers:read',
  'GET /api/v1/requests': 'workers:read',
  'GET /metrics': 'workers:read',

  'POST /api/v1/mode': 'workers:write',
  'POST /api/v1/tor/workers/:n/tor/start': 'workers:write',
  'POST /api/v1/tor/workers/:n/tor/stop': 'workers:write',
  'POST /api/v1/tor/workers/:n/tor/restart': 'workers:write',
  'POST /api/v1/tor/workers/:n/reboot': 'workers:write',
  'POST /api/v1/tor/workers/:n/newnym': 'workers:write',
  'POST /api/v1/workers/drain': 'workers:write',
  'POST /api/v1/workers/enable': 'workers:write',

  'POST /api/v1/config/reload': 'admin',
  'GET /api/v1/keys': 'admin',
  'POST /api/v1/keys': 'admin',
  'DELETE /api/v1/keys/:id': 'admin',
}

/** Of a route as it is registered, such as `/api/v1/sessions/:key`. HEAD is as GET. Undefined when the table has no such row. */
export function accessOf(method: string, url: string): Access | undefined {
  return ACCESS[rowOf(method, url)]
}

/** Sees to it that the routes and the table are the same. */
export class AccessCheck {
  readonly #missing = new Set(Object.keys(ACCESS))

  /** Throws for a route without a row. */
  admit(methods: string | readonly string[], url: string): void {
    for (const method of [methods].flat()) {
      const row = rowOf(method, url)
      if (!(row in ACCESS)) throw new Error(`Cannot register ${row}: src/api/access.ts does not say who may use it`)
      this.#missing.delete(row)
    }
  }

  /** Throws when a row has no route, once all are registered. */
  finish(): void {
    if (this.#missing.size === 0) return
    throw new Error(`Cannot serve the API: rows of src/api/access.ts without a route: ${[...this.#missing].join(', ')}`)
  }
}

function rowOf(method: string, url: string): string {
  return `${method === 'HEAD' ? 'GET' : method} ${url}`
}

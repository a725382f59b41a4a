import type { ApiApp } from '../app.ts'

/** For somebody who has nothing but the address. */
export function rootRoutes(app: ApiApp): void {
  app.get('/', { schema: { hide: true } }, async () => ({
    name: 'cbtor',
    api: '/api/v1',
    docs: '/docs',
    redoc: '/redoc',
    openapi: '/openapi.json',
    health: '/api/v1/health',
    events: '/api/v1/events',
    metrics: '/metrics',
  }))
}

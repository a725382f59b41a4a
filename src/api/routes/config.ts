import type { ApiApp } from '../app.ts'
import type { Backend } from '../backend.ts'
import { documented } from '../docs/documented.ts'
import { type ReloadedBody, reloadedBody, toReloadedBody } from '../schemas/reloaded.ts'

export function configRoutes(app: ApiApp, backend: Backend): void {
  app.post(
    '/api/v1/config/reload',
    {
      schema: {
        tags: ['Core'],
        operationId: 'reloadConfig',
        summary: 'Read the configuration file anew',
        description:
          'Applies what can be applied without losing a request, as SIGHUP does, and says what takes a restart. Workers that come are started; those that go finish their requests first, which goes on after the answer. Of a file with faults nothing is applied, and `errors` has all of them with their lines. One reload after the other.',
        response: { 200: reloadedBody },
        ...documented({
          answered: 'What holds from now on, and what from the next start on.',
          answer: ANSWER,
          problems: ['config_invalid', 'conflict'],
        }),
      },
    },
    async () => toReloadedBody(await backend.reloadConfig()),
  )
}

const ANSWER: ReloadedBody = {
  applied: [{ field: 'health.check_interval', from: '10s', to: '5s' }],
  workers: { added: ['tor05'], removed: ['tor01'], changed: [] },
  needs_restart: ['listen'],
  notes: [],
  unchanged: false,
}

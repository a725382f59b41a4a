import type { ApiApp } from '../app.ts'
import type { Backend } from '../backend.ts'
import { documented } from '../docs/documented.ts'
import { type ModeAnswerBody, modeAnswerBody, modeBody, toModeAnswerBody } from '../schemas/pool.ts'

export function modeRoutes(app: ApiApp, backend: Backend): void {
  app.get(
    '/api/v1/mode',
    {
      schema: {
        tags: ['Core'],
        operationId: 'getMode',
        summary: 'Get the load balancing mode',
        description: 'The mode by which the pool chooses workers for requests that name none.',
        response: { 200: modeAnswerBody },
        ...documented({ answered: 'The mode.', answer: ANSWER, problems: [] }),
      },
    },
    async () => toModeAnswerBody(backend.mode()),
  )

  app.post(
    '/api/v1/mode',
    {
      schema: {
        tags: ['Core'],
        operationId: 'setMode',
        summary: 'Set the load balancing mode',
        description:
          'Holds for all later requests that name no mode: `round_robin` takes the workers in turn, `sticky` the same one for the same `sticky_key` or host, `random` any, `least_connections` the one with the fewest leases, `failover` always the first healthy one.',
        body: modeBody,
        response: { 200: modeAnswerBody },
        ...documented({
          answered: 'The mode is set.',
          requests: { 'Fewest leases': { mode: 'least_connections' } },
          answer: ANSWER,
          problems: [],
        }),
      },
    },
    async (request) => {
      await backend.setMode(request.body.mode)
      return toModeAnswerBody(backend.mode())
    },
  )
}

const ANSWER: ModeAnswerBody = {
  mode: 'least_connections',
  modes: ['round_robin', 'sticky', 'random', 'least_connections', 'failover'],
}

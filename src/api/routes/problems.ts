import { z } from 'zod'
import { CbtorError } from '../../domain/errors.ts'
import { PROBLEMS, type ProblemCode } from '../../domain/problems.ts'
import { printable } from '../../lib/printable.ts'
import type { ApiApp } from '../app.ts'
import { documented } from '../docs/documented.ts'
import { problemTypeBody } from '../schemas/problem.ts'

export function problemRoutes(app: ApiApp): void {
  app.get(
    '/problems/:code',
    {
      schema: {
        tags: ['Core'],
        operationId: 'getProblemType',
        summary: 'Describe a problem',
        description: 'What the `type` of a problem answer leads to.',
        params: z.object({
          code: z
            .string()
            .describe('The code of the problem.')
            .meta({ examples: ['no_worker'] }),
        }),
        response: { 200: problemTypeBody },
        ...documented({
          answered: 'The type of problem.',
          answer: { code: 'no_worker', ...PROBLEMS.no_worker },
          problems: ['not_found'],
        }),
      },
    },
    async (request) => {
      const { code } = request.params
      if (!isCode(code)) {
        throw new CbtorError('not_found', `Cannot describe the problem: there is no code "${printable(code)}"`)
      }
      return { code, ...PROBLEMS[code] }
    },
  )
}

function isCode(code: string): code is ProblemCode {
  return Object.hasOwn(PROBLEMS, code)
}

import { z } from 'zod'
import { CbtorError } from '../../domain/errors.ts'
import { type ToolAnswer, tool, unknownArgument } from '../tool.ts'

const input = {
  sticky_key: z
    .string({ error: 'must be the sticky_key of a session' })
    .min(1, { error: 'must be the sticky_key of a session' })
    .optional()
    .describe('The session to give a new identity. It keeps its key.'),
  worker: z
    .string({ error: 'must be the id of a worker, such as tor01' })
    .min(1, { error: 'must be the id of a worker, such as tor01' })
    .optional()
    .describe('The worker to give new circuits, by its id or number. Takes a key with the scope workers:write.'),
}

const output = z.object({
  what: z.enum(['new_key', 'session_rotated', 'new_circuits']).describe('What was done.'),
  sticky_key: z.string().nullable().describe('The key to fetch with from now on. Null when it is about a worker.'),
  worker: z.string().nullable().describe('The worker that has new circuits, or that the session is on.'),
  exit_changed: z
    .boolean()
    .nullable()
    .describe('Whether a worker has other exits than before. Null when that is not known, or not yet.'),
})

export const newIdentityTool = tool({
  name: 'new_identity',
  title: 'Become somebody else',
  description: `Makes later fetches look like somebody else's. Without arguments: returns a new sticky_key for "fetch", whose circuits, connections and TLS sessions are shared with nothing before. With sticky_key: that session gets other circuits from its next fetch on; what is under way goes on. With worker: all later streams of that Tor worker, of everybody, use other circuits. Another exit address is likely each time, not promised.`,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  input: z.strictObject(input, unknownArgument(input)),
  output,

  async call({ sticky_key: key, worker }, { gateway, random, signal }): Promise<ToolAnswer<z.output<typeof output>>> {
    if (key !== undefined && worker !== undefined) {
      throw new CbtorError(
        'invalid_input',
        'Cannot make a new identity: sticky_key and worker are two things; give one of them',
      )
    }
    if (key !== undefined) {
      const session = await gateway.rotateSession(key, signal)
      return {
        text: `The session ${key} has a new identity: its next fetch goes by other circuits. Nothing has been fetched yet, so its exit is not known.`,
        structured: { what: 'session_rotated', sticky_key: key, worker: session.worker, exit_changed: null },
      }
    }
    if (worker !== undefined) return await newCircuits(worker)
    const fresh = `mcp-${random.bytes(9).toString('base64url')}`
    return {
      text: `Fetch with sticky_key "${fresh}" from now on: nothing of it is shared with what went before.`,
      structured: { what: 'new_key', sticky_key: fresh, worker: null, exit_changed: null },
    }

    async function newCircuits(ref: string) {
      const renewed = await gateway.newCircuits(ref, {}, signal)
      const exit_changed = 'exit_changed' in renewed ? renewed.exit_changed : null
      return {
        text: `${renewed.worker} has new circuits${EXITS[String(exit_changed)]}`,
        structured: { what: 'new_circuits' as const, sticky_key: null, worker: renewed.worker, exit_changed },
      }
    }
  },
})

const EXITS: Readonly<Record<string, string>> = {
  true: ', and none of its exits is one from before.',
  false: ', but some of its exits are those from before.',
  null: '; by which exits is not known yet.',
}

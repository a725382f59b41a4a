import { z } from 'zod'
import { CbtorError } from '../../domain/errors.ts'
import { type OnionAddressFault, parseOnionAddress } from '../../lib/onion-address.ts'
import { type ToldProblem, toldProblemOf } from '../told-problem.ts'
import { type ToolAnswer, tool, unknownArgument } from '../tool.ts'

const DEFAULT_TIMEOUT_MS = 90_000
const MAX_BYTES = 4_096

const WRONG: Readonly<Record<OnionAddressFault, string>> = {
  'not-onion': 'it does not end in .onion',
  'empty-label': 'it has a dot too many',
  'version-2': 'it is of version 2, which Tor gave up in 2021',
  length: 'it has not 56 characters before .onion',
  alphabet: 'it has characters other than a to z and 2 to 7',
  version: 'it is of a version that nobody knows yet',
  checksum: 'its checksum is wrong: it is mistyped or made up',
}

const TIMEOUT = 'must be a whole number from 5000 to 300000'
const input = {
  address: z
    .string({ error: 'must be an onion address or the URL of one' })
    .min(1, { error: 'must be an onion address or the URL of one' })
    .max(2_048, { error: 'must have 2048 characters at most' })
    .describe('An onion address (abc….onion), or an http or https URL of one.'),
  timeout_ms: z
    .int({ error: TIMEOUT })
    .min(5_000, { error: TIMEOUT })
    .max(300_000, { error: TIMEOUT })
    .default(DEFAULT_TIMEOUT_MS)
    .describe('How long it may take, in milliseconds.'),
}

const output = z.object({
  url: z.string().describe('What was asked for.'),
  onion: z
    .enum(['reachable', 'locked', 'unreachable', 'unknown'])
    .describe(
      'The service in the Tor network. locked: it is there and asks for client authorization; unknown: nothing was found out.',
    ),
  web: z.enum(['answered', 'failed', 'not_asked']).describe('What is behind it.'),
  status: z.int().nullable().describe('The status that it answered with.'),
  code: z.string().nullable().describe('Of the problem, where there was one.'),
  total_ms: z.number().nullable().describe('How long the answer took.'),
})

export const onionCheckTool = tool({
  name: 'onion_check',
  title: 'Whether an onion service is there',
  description: `Checks an onion address (version 3, its checksum) and then, with one GET through Tor that follows no redirect, whether the service is there. Tells apart an address that is wrong, a service that is offline or never existed, one that does not answer introductions, one that asks for client authorization, one whose web server fails, and trouble of Tor that says nothing of the service. Returns no content of the service. Takes up to 90 s.`,
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  input: z.strictObject(input, unknownArgument(input)),
  output,

  async call({ address, timeout_ms }, { gateway, signal }): Promise<ToolAnswer<z.output<typeof output>>> {
    const url = onionUrl(address)
    const { hostname } = new URL(url)
    try {
      const request = { url, timeout_ms, max_bytes: MAX_BYTES, allow_truncated: true, follow_redirects: false }
      const { status, receipt } = await gateway.fetch(request, signal)
      const { total_ms } = receipt.timing
      return {
        text: `${hostname} is reachable: it answered with status ${status} after ${Math.round(total_ms)} ms.`,
        structured: { url, onion: 'reachable', web: 'answered', status, code: null, total_ms },
      }
    } catch (error) {
      const problem = toldProblemOf(error)
      const found = problem && findingOf(problem)
      if (found === undefined) throw error
      const [onion, web, text] = found
      return {
        text: `${hostname} ${text}`,
        structured: { url, onion, web, status: null, code: problem?.code ?? null, total_ms: null },
      }
    }
  },
})

/** Throws for what is no onion address, before anything goes out. */
function onionUrl(address: string): string {
  const cannot = (why: string) => new CbtorError('onion_address_invalid', `Cannot check the onion service: ${why}`)
  const url = URL.parse(/^[a-z]+:\/\//i.test(address) ? address : `http://${address}`)
  if (url === null || !/^https?:$/.test(url.protocol))
    throw cannot('the address is neither one nor an http or https URL of one')
  const parsed = parseOnionAddress(url.hostname)
  if (!parsed.ok) throw cannot(`the address is not valid: ${WRONG[parsed.fault]}`)
  return url.href
}

type Finding = readonly ['reachable' | 'locked' | 'unreachable' | 'unknown', 'failed' | 'not_asked', string]

/** Undefined when nothing was tried: the request, a rule, the service or a worker was in the way. */
function findingOf({ code, title, fault, detail }: ToldProblem): Finding | undefined {
  const says = `${title} (${code}).`
  if (code === 'onion_auth_required' || code === 'onion_auth_rejected') {
    return ['locked', 'not_asked', `is there, but lets in only clients that it knows. ${says}`]
  }
  if (code === 'timeout' || fault === 'tor') {
    return ['unknown', 'not_asked', `was not reached in time, or by trouble of Tor: it may be up. ${says} ${detail}.`]
  }
  if (fault === 'onion')
    return ['unreachable', 'not_asked', `cannot be reached. ${says} ${MEANING[code] ?? ''}`.trimEnd()]
  if (fault === 'target') return ['reachable', 'failed', `is reachable, but the server behind it failed. ${says}`]
  return undefined
}

const MEANING: Readonly<Record<string, string>> = {
  onion_not_found: 'Tor asked the directories of the network for its descriptor, and none has it.',
  onion_descriptor_invalid: 'What the directories have of it cannot be used: it may be misconfigured.',
  onion_intro_failed: 'Its descriptor is there, but it no longer answers: it is likely to be down since a short time.',
  onion_intro_timeout: 'Its descriptor is there, but it answers slowly or not at all: it may be overloaded. Try again.',
  onion_rendezvous_failed: 'It was told where to meet us and did not come: it may be overloaded. Try again.',
}

import { isUtf8 } from 'node:buffer'
import { readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { FetchInput } from '../client/client.ts'
import { usageError } from './exit-with.ts'
import type { ServiceFlags } from './flags.ts'

export interface FetchFlags extends ServiceFlags {
  readonly request?: string
  readonly header?: readonly string[]
  readonly data?: string
  readonly head?: true
  readonly output?: string
  readonly include?: true
  readonly fail?: true
  readonly location?: boolean
  readonly maxRedirs?: number
  readonly timeout?: number
  readonly maxBytes?: number
  readonly stickyKey?: string
  readonly isolation?: NonNullable<FetchInput['isolation']>
  readonly mode?: NonNullable<FetchInput['mode']>
  readonly worker?: string
  readonly country?: string
  readonly excludeCountries?: readonly string[]
  readonly distinctFrom?: string
  readonly hedge?: true
  readonly raw?: true
  readonly receipt?: true
  readonly silent?: true
  readonly json?: true
}

const FORM = 'application/x-www-form-urlencoded'

/** The request that the flags stand for; what is wrong with it, the service says. Throws for what only we can see. */
export async function fetchOrder(url: string, flags: FetchFlags, stdin: Readable): Promise<FetchInput> {
  const { json, raw, output, include, request, head } = flags
  if (json && (raw || output !== undefined || include))
    throw usageError('Cannot fetch: --json is the whole answer; leave out --raw, --output and --include')
  if (head && request !== undefined) throw usageError('Cannot fetch: --head and --request name two methods')
  const data = flags.data === undefined ? undefined : await readData(flags.data, stdin)
  const headers = headersOf(flags.header ?? [])
  if (data !== undefined && !Object.keys(headers).some((name) => name.toLowerCase() === 'content-type'))
    headers['content-type'] = FORM
  const method = head ? 'HEAD' : (request ?? (data === undefined ? 'GET' : 'POST'))
  return {
    url,
    method,
    ...(Object.keys(headers).length > 0 && { headers }),
    ...(data !== undefined && bodyOf(data)),
    ...(flags.timeout !== undefined && { timeout_ms: flags.timeout }),
    ...(flags.maxBytes !== undefined && { max_bytes: flags.maxBytes }),
    ...(flags.location === false && { follow_redirects: false }),
    ...(flags.maxRedirs !== undefined && { max_redirects: flags.maxRedirs }),
    ...(flags.stickyKey !== undefined && { sticky_key: flags.stickyKey }),
    ...(flags.isolation !== undefined && { isolation: flags.isolation }),
    ...(flags.mode !== undefined && { mode: flags.mode }),
    ...(flags.worker !== undefined && { worker: flags.worker }),
    ...(flags.country !== undefined && { country: flags.country }),
    ...(flags.excludeCountries !== undefined && { exclude_countries: flags.excludeCountries }),
    ...(flags.distinctFrom !== undefined && { distinct_from: flags.distinctFrom }),
    ...(flags.hedge && { hedge: true }),
    ...(flags.receipt && { circuit_path: true }),
  }
}

async function readData(data: string, stdin: Readable): Promise<Uint8Array> {
  if (!data.startsWith('@')) return Buffer.from(data)
  if (data === '@-') return await buffer(stdin)
  try {
    return readFileSync(data.slice(1))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`Cannot read what to send: ${reason}`, { cause: error })
  }
}

function bodyOf(data: Uint8Array): Pick<FetchInput, 'body' | 'body_encoding'> {
  const bytes = Buffer.from(data)
  return isUtf8(bytes) ? { body: bytes.toString() } : { body: bytes.toString('base64'), body_encoding: 'base64' }
}

/** Lines of one name become a list, in the order in which they were given. */
function headersOf(lines: readonly string[]): Record<string, string | readonly string[] | null> {
  const headers: Record<string, string | readonly string[] | null> = {}
  for (const line of lines) {
    const [, name, value] = /^([^:\s]+):\s*(.*)$/s.exec(line) ?? []
    if (name === undefined || value === undefined)
      throw usageError(`Cannot fetch: expected a header as 'Name: value', not "${line.slice(0, 64)}"`)
    const before = headers[name] ?? []
    headers[name] = value === '' ? null : before.length === 0 ? value : [before, value].flat()
  }
  return headers
}

import type { FetchAnswerBody } from '../api/schemas/fetch-answer.ts'
import type { ApiClient } from '../client/client.ts'
import { MODES } from '../domain/exchange.ts'

/** Pages of the private network, as URLs. */
export interface DemoPages {
  /** Answers with the address that the request came from. */
  readonly check: string
  readonly httpsCheck: string
  readonly www: string
  readonly onion: string
}

/** A fresh identity may get the exit of another one by chance; so many draws make that most unlikely. */
const MAX_DRAWS = 12

/** Fetches one of each kind and gives a row of the demo's table for each. Throws when one fails or breaks its promise. */
export async function takeSamples(api: ApiClient, pages: DemoPages, signal: AbortSignal): Promise<string[][]> {
  const rows: string[][] = []
  const sample = async (what: string, request: Parameters<ApiClient['fetch']>[0]) => {
    const answer = await api.fetch(request, signal)
    if (answer.status !== 200)
      throw new Error(`Cannot show "${what}": the target answered with status ${answer.status}`)
    rows.push(rowOf(what, answer))
    return answer
  }

  for (const mode of MODES) await sample(`clearnet, ${mode}`, { url: pages.www, mode })
  await sample('onion service', { url: pages.onion })
  const first = await sample('sticky session', { url: pages.check, sticky_key: 'demo' })
  const second = await sample('sticky session, again', { url: pages.check, sticky_key: 'demo' })
  if (exitOf(first) !== exitOf(second)) throw new Error('A sticky session changed its exit')
  rows.push(rowOf('fresh identity, other exit', await anotherExit(api, pages.check, exitOf(first), signal)))
  await sample('https', { url: pages.httpsCheck })
  return rows
}

async function anotherExit(api: ApiClient, url: string, exit: string, signal: AbortSignal): Promise<FetchAnswerBody> {
  for (let draw = 0; draw < MAX_DRAWS; draw++) {
    const answer = await api.fetch({ url, isolation: 'request' }, signal)
    if (exitOf(answer) !== exit) return answer
  }
  throw new Error(`${MAX_DRAWS} fresh identities all left by ${exit}`)
}

function rowOf(what: string, { worker, status, receipt }: FetchAnswerBody): string[] {
  const { route, exit, timing } = receipt
  const from = exit === null ? '-' : `${exit.nickname} ${exit.address ?? ''}`.trim()
  return [what, worker, route, from, String(status), `${Math.round(timing.total_ms)} ms`]
}

function exitOf({ receipt }: FetchAnswerBody): string {
  return receipt.exit?.nickname ?? 'unknown'
}

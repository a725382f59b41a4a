/** What an authority serves over HTTP (dir-spec). */
import { get } from 'node:http'
import { text } from 'node:stream/consumers'
import { DIR_PORT } from '../plan.ts'

export interface Consensus {
  readonly relays: readonly { readonly name: string; readonly flags: readonly string[] }[]
}

/** The consensus that the authority has, or undefined while there is none. */
export async function fetchConsensus(address: string, signal: AbortSignal): Promise<Consensus | undefined> {
  const document = await fetchDocument(address, '/tor/status-vote/current/consensus', signal)
  return document === undefined ? undefined : parseConsensus(document)
}

/** The nicknames of the relays whose descriptors the authority has. */
export async function fetchDescribed(address: string, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const document = await fetchDocument(address, '/tor/server/all', signal)
  return new Set([...(document ?? '').matchAll(/^router (\S+) /gm)].map(([, name = '']) => name))
}

/** Reads what we need of a consensus: the relays' nicknames ("r" lines) and flags ("s" lines). */
export function parseConsensus(document: string): Consensus {
  const relays: { name: string; flags: string[] }[] = []
  for (const line of document.split('\n')) {
    const [keyword, ...words] = line.split(' ')
    if (keyword === 'r') relays.push({ name: words[0] ?? '', flags: [] })
    if (keyword === 's') relays.at(-1)?.flags.push(...words)
  }
  return { relays }
}

async function fetchDocument(address: string, path: string, signal: AbortSignal): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>()
  const request = get({ host: address, port: DIR_PORT, path, signal, agent: false })
  request.on('error', reject)
  request.on('response', (response) => {
    text(response).then((body) => resolve(response.statusCode === 200 ? body : undefined), reject)
  })
  return await promise
}

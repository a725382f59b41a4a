import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../src/lib/random.ts'

/** Of a real onion service, as its checksum has to be right; nobody reaches it from here. */
export const ONION = 'duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion'
/** What would run in a page that took a text for HTML. */
export const HOSTILE = '<img src=x onerror="window.hacked=true"><script>window.hacked=true</script>'

/** The sites behind simulated workers, by `host:port`. `slow.cbtor.test` takes 8 s, `hostile.cbtor.test` is what it is called. */
export function simulatedSites(random: Random): ReadonlyMap<string, (socket: Socket) => void> {
  const server = createServer((request, response) => void answer(request, response, random))
  const take = (socket: Socket) => void server.emit('connection', socket)
  const hosts = ['www.cbtor.test', 'check.cbtor.test', 'slow.cbtor.test', 'hostile.cbtor.test', ONION]
  return new Map(hosts.map((host) => [`${host}:80`, take]))
}

async function answer({ headers, url }: IncomingMessage, response: ServerResponse, random: Random): Promise<void> {
  if (headers.host === 'slow.cbtor.test') await sleep(8_000, undefined, { ref: false })
  else await sleep(5 + 150 * random.float() ** 3, undefined, { ref: false })
  if (headers.host === 'hostile.cbtor.test') {
    response.writeHead(200, { 'content-type': 'text/html', 'x-hostile': HOSTILE })
    return void response.end(`<!doctype html><title>x</title>${HOSTILE}`)
  }
  if (url === '/large') {
    response.writeHead(200, { 'content-type': 'text/plain' })
    return void response.end('0123456789abcdef\n'.repeat(40_000))
  }
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ isTor: true, host: headers.host, path: url }, null, 2))
}

import { isIP } from 'node:net'
import { type BoxFile, splitEndpoint } from '../boxes/box-file.ts'
import { type Finding, ok, warning } from './finding.ts'

export interface NamesIn {
  /** Hosts that the configuration has the service listen on, by field. */
  readonly listens: readonly { readonly field: string; readonly host: string }[]
  readonly boxes: readonly BoxFile[]
}

/**
 * Which names the system's resolver is asked for. Targets and check endpoints are not among them: their names go to Tor as they
 * are. Those of boxes are, if they were installed by name, and whoever runs the resolver learns where boxes are.
 */
export function checkNames({ listens, boxes }: NamesIn): Finding {
  const name = 'DNS'
  const asked = [
    ...listens.filter(({ host }) => isName(host)).map(({ field, host }) => ({ host, why: field })),
    ...boxes.flatMap(({ id, ssh, tunnel }) => [
      { host: ssh.host, why: `SSH of ${id}` },
      { host: splitEndpoint(tunnel.boxEndpoint)[0], why: `tunnel to ${id}` },
    ]),
  ].filter(({ host }) => isName(host))
  if (asked.length === 0) return ok(name, "the system's resolver is asked for nothing: every name goes to Tor")
  const shown = asked.map(({ host, why }) => `${host} (${why})`).join(', ')
  return warning(
    name,
    `the system's resolver is asked for ${shown}; for names of targets never`,
    'Write addresses instead, if nobody is to know; of a box: cbtor workers install root@ADDRESS',
  )
}

function isName(host: string): boolean {
  const bare = host.replace(/%.*$/, '')
  return isIP(bare) === 0 && host.toLowerCase() !== 'localhost'
}

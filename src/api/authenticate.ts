import type { IncomingHttpHeaders } from 'node:http'
import { type Caller, mayUse, type Scope } from '../domain/caller.ts'
import { CbtorError } from '../domain/errors.ts'
import type { Keys } from './keys.ts'

/** Names by which others take keys in URLs, where proxies, histories and logs would keep them. */
const NAMES_OF_KEYS = new Set(['api_key', 'apikey', 'key', 'token', 'access_token'])
/** With what every key begins. */
const PREFIX = 'cbt_'

/** Refuses a key in the query, be it right or wrong, before anything else is done with the request. */
export function refuseKeyInQuery(url: string): void {
  const start = url.indexOf('?')
  if (start === -1) return
  for (const [name, value] of new URLSearchParams(url.slice(start))) {
    if (!NAMES_OF_KEYS.has(name.toLowerCase()) && !value.startsWith(PREFIX)) continue
    throw new CbtorError(
      'auth_in_query_refused',
      'Cannot take a key from the URL, where it would be written down: send it as "Authorization: Bearer KEY", and revoke it if it was real',
    )
  }
}

/** Who asks. Whatever is wrong with a key, the answer and the work are the same. */
export function callerOf({ authorization }: IncomingHttpHeaders, keys: Pick<Keys, 'authenticate'>): Caller {
  if (authorization === undefined) {
    throw new CbtorError('auth_required', 'Cannot take the request without a key: send "Authorization: Bearer KEY"')
  }
  const [, text = ''] = /^bearer +(\S+)$/i.exec(authorization) ?? []
  return known(keys.authenticate(text))
}

/** Sees whether the key of who asked is still good: the body may have come long after the head, and after the key was revoked. */
export function checkStillGood({ id }: Caller, keys: Pick<Keys, 'callerOf'>): void {
  known(keys.callerOf(id))
}

function known(caller: Caller | undefined): Caller {
  if (caller !== undefined) return caller
  throw new CbtorError('auth_invalid', 'Cannot take the request: the key is unknown, revoked or expired')
}

export function demandScope(caller: Caller, scope: Scope): void {
  if (mayUse(caller, scope)) return
  throw new CbtorError('scope_missing', `Cannot take the request: it takes a key with the scope "${scope}"`)
}

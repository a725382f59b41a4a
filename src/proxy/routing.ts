import { type Caller, mayUse } from '../domain/caller.ts'
import { CbtorError } from '../domain/errors.ts'
import type { Routing } from '../domain/exchange.ts'
import type { ProxyBackend } from './backend.ts'
import { parseUserName } from './user-name.ts'

/** Of a client that has shown who it is. */
export type AdmittedRouting = Routing & { readonly caller: Caller }

/** Throws `scope_missing` when the caller may not use the proxy, and what `parseUserName` throws. */
export function routingOf(
  backend: Pick<ProxyBackend, 'workerIdOf'>,
  caller: Caller,
  userName: string,
): AdmittedRouting {
  if (!mayUse(caller, 'proxy'))
    throw new CbtorError('scope_missing', 'Cannot take the request: it takes a key with the scope "proxy"')
  return { ...parseUserName(userName, (ref) => backend.workerIdOf(ref)), caller }
}

/** What becomes of a request whose key is revoked or expires while it is under way. */
export function keyGone(): CbtorError {
  return new CbtorError('proxy_auth_required', 'Cannot go on: the key was revoked or has expired')
}

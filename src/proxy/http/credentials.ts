import { isUtf8 } from 'node:buffer'
import { CbtorError } from '../../domain/errors.ts'
import type { ProxyBackend } from '../backend.ts'
import { type AdmittedRouting, routingOf } from '../routing.ts'
import { type HeaderList, valuesOf } from './headers.ts'

const BASIC = /^Basic +([A-Za-z0-9+/]*={0,2})$/i

/**
 * Who asks, and as whom the request goes, by its Proxy-Authorization. Throws `proxy_auth_required` when there is none and one is
 * needed, or when it is not what it should be, and what `routingOf` throws. The password is looked at first: who has none
 * learns nothing about workers.
 */
export function admit(backend: ProxyBackend, headers: HeaderList): AdmittedRouting {
  const [value, ...others] = valuesOf(headers, 'proxy-authorization')
  const credentials = value === undefined || others.length > 0 ? undefined : parseBasic(value)
  const caller = backend.authenticate(credentials?.password)
  if (caller !== undefined && (credentials !== undefined || value === undefined)) {
    return { ...routingOf(backend, caller, credentials?.userName ?? ''), via: 'http' }
  }
  throw new CbtorError('proxy_auth_required', `Cannot take the request: ${reasonFor(value, credentials)}`)
}

interface Credentials {
  readonly userName: string
  readonly password: string
}

/** RFC 7617: the first colon ends the user name. */
function parseBasic(value: string): Credentials | undefined {
  const [, encoded] = BASIC.exec(value.trim()) ?? []
  if (encoded === undefined) return undefined
  const bytes = Buffer.from(encoded, 'base64')
  const canonical = bytes.toString('base64')
  const isCanonical = encoded === canonical || encoded === canonical.replace(/=+$/, '')
  if (!isCanonical || !isUtf8(bytes)) return undefined
  const [, userName, password] = /^([^:]*):(.*)$/s.exec(bytes.toString()) ?? []
  return userName === undefined || password === undefined ? undefined : { userName, password }
}

function reasonFor(value: string | undefined, credentials: Credentials | undefined): string {
  if (value === undefined) return 'it has no Proxy-Authorization'
  if (credentials === undefined) return 'its Proxy-Authorization is not one of Basic, with a user name and a password'
  return 'its password is no key, or one that is revoked or expired'
}

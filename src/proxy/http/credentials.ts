import { isUtf8 } from 'node:buffer'
import { CbtorError } from '../../domain/errors.ts'
import type { Routing } from '../../domain/exchange.ts'
import type { ProxyBackend } from '../backend.ts'
import { parseUserName } from '../user-name.ts'
import { type HeaderList, valuesOf } from './headers.ts'

const BASIC = /^Basic +([A-Za-z0-9+/]*={0,2})$/i

/**
 * As whom the request goes, by its Proxy-Authorization. Throws `proxy_auth_required` when there is none and one is needed, or
 * when it is not what it should be, and what `parseUserName` throws. The password is looked at first: who has none learns
 * nothing about workers.
 */
export function admit(backend: ProxyBackend, headers: HeaderList): Routing {
  const [value, ...others] = valuesOf(headers, 'proxy-authorization')
  if (value === undefined && !backend.requiresPassword) return parseUserName('', () => undefined)
  const credentials = value === undefined || others.length > 0 ? undefined : parseBasic(value)
  const isRight = backend.authenticate(credentials?.password)
  if (credentials !== undefined && isRight) return parseUserName(credentials.userName, (ref) => backend.workerIdOf(ref))
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
  return 'the password is wrong'
}

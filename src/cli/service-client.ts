import { adminKeyFile, readAdminKey } from '../auth/admin-key.ts'
import { type ApiClient, createApiClient } from '../client/client.ts'
import { readConfig } from '../config/read-config.ts'
import { certificateOf, urlOf } from '../doctor/service-address.ts'
import { isLoopbackAddress } from '../lib/loopback.ts'
import { usageError } from './exit-with.ts'
import type { ServiceFlags } from './flags.ts'
import type { CliParts } from './parts.ts'
import { configFlags, stateOf } from './state-directory.ts'

/** A client of the service that the flags lead to, with the key that is at hand. Throws when it is not said where it listens. */
export function serviceClient(flags: ServiceFlags, parts: Pick<CliParts, 'env'>): ApiClient {
  const config = readConfig(configFlags(flags), parts.env)
  const baseUrl = flags.api ?? urlOf(config)
  if (baseUrl === undefined) throw new Error('Cannot find the service: it may listen on any port; say where: --api')
  return createApiClient({ baseUrl, certificate: certificateOf(config), key: keyFor(baseUrl, flags, parts) })
}

/**
 * `CBTOR_KEY`, else the admin key, which is for nobody but a service on this machine; undefined when there is none, as where
 * none is asked for. Throws when it may not be read, or not be sent there.
 */
function keyFor(baseUrl: string, flags: ServiceFlags, { env }: Pick<CliParts, 'env'>): string | undefined {
  const given = env.CBTOR_KEY?.trim()
  if (given && !/^[\x21-\x7e]+$/.test(given))
    throw usageError('Cannot take what is in CBTOR_KEY for a key: expected one word, such as cbt_...')
  const isOurs = flags.api === undefined || isHere(flags.api)
  const key = given || (isOurs ? readAdminKey(adminKeyFile(stateOf(flags, { env }))) : undefined)
  if (key !== undefined && URL.parse(baseUrl)?.protocol === 'http:' && !isHere(baseUrl))
    throw new Error(`Cannot send the key to ${baseUrl}, for everybody on the way could read it: expected https`)
  return key
}

/** As `serviceClient` has it, but undefined where that would throw: the service then says that it is missing. */
export function keyAtHand(baseUrl: string, flags: ServiceFlags, parts: Pick<CliParts, 'env'>): string | undefined {
  try {
    return keyFor(baseUrl, flags, parts)
  } catch {
    return undefined
  }
}

function isHere(url: string): boolean {
  if (url.startsWith('unix:')) return true
  const { hostname = '' } = URL.parse(url) ?? {}
  return hostname === 'localhost' || isLoopbackAddress(hostname.replace(/^\[(.*)\]$/, '$1'))
}

/** Where a configuration says that its service is found. */
import { readFileSync } from 'node:fs'
import type { ServiceConfig } from '../config/read-config.ts'
import { showListenAddress, staysOnMachine } from '../listen/address.ts'
import { firstCertificate } from '../listen/certificate.ts'
import { reachableAt } from './addresses.ts'

/** Undefined when only the service knows its port. */
export function urlOf({ listen, tls }: ServiceConfig): string | undefined {
  const isSecured = typeof tls === 'object' && !staysOnMachine(listen)
  if ('port' in listen && listen.port === 0) return undefined
  const at = showListenAddress(reachableAt(listen))
  return 'path' in listen ? at : `${isSecured ? 'https' : 'http'}://${at}`
}

/** The only certificate that the service's own API may show: the first of its file. A fault in it is told elsewhere. */
export function certificateOf({ tls }: ServiceConfig): string | undefined {
  try {
    return typeof tls === 'object' ? firstCertificate(readFileSync(tls.cert_file, 'utf8')) : undefined
  } catch {
    return undefined
  }
}

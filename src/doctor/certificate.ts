import { statSync } from 'node:fs'
import type { ServiceConfig } from '../config/read-config.ts'
import { isoTime } from '../lib/iso-time.ts'
import { staysOnMachine } from '../listen/address.ts'
import { CertificateError, judgeExpiry, loadCertificate } from '../listen/certificate.ts'
import { type Finding, messageOf, ok, unchecked, warning, worst, wrong } from './finding.ts'

const NAME = 'certificate'

/** The certificate of our own listeners: whether it can be used, for how long, and for which names. `now`: epoch milliseconds. */
export async function checkCertificate(config: ServiceConfig, now: number): Promise<readonly Finding[]> {
  const { tls, listen, proxy } = config
  if (tls === undefined || tls === 'offloaded') return []
  const found: Finding[] = []
  try {
    const { validFrom, expiresAt, names } = await loadCertificate(tls)
    const trouble = judgeExpiry({ validFrom, expiresAt }, now)
    if (trouble !== undefined)
      found.push((trouble.severity === 'error' ? wrong : warning)(NAME, trouble.text, 'Put a new one into its place'))
    if (names === '')
      found.push(
        warning(
          NAME,
          'it is for no name or address (subjectAltName), so no client will take it',
          'See docs/exposing.md',
        ),
      )
    if (statSync(tls.key_file).mode & 0o070)
      found.push(warning(NAME, `a group may read ${tls.key_file}`, `chmod 600 ${tls.key_file}`))
    if ([listen, proxy.http, proxy.socks, proxy.both].every((at) => typeof at !== 'object' || staysOnMachine(at)))
      found.push(
        warning(
          NAME,
          'nothing that listens uses it: all of it is on this machine alone',
          'Leave tls out, or let others reach a port',
        ),
      )
    return worst(found, ok(NAME, `for ${names}, until ${isoTime(expiresAt)}`))
  } catch (error) {
    if (error instanceof CertificateError)
      return [wrong(NAME, `tls.${error.field}: ${error.message}`, 'See docs/exposing.md')]
    return [unchecked(NAME, messageOf(error))]
  }
}

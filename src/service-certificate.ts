import { ConfigError, type ServiceConfig } from './config/read-config.ts'
import type { Problems } from './events/problems.ts'
import type { Clock } from './lib/clock.ts'
import type { Logger } from './lib/log.ts'
import { type ListenAddress, staysOnMachine } from './listen/address.ts'
import { CertificateError, type CertificateTrouble, ServerCertificate } from './listen/certificate.ts'
import type { ServerTls } from './listen/tls.ts'

export interface CertificateParts {
  readonly problems: Pick<Problems, 'open' | 'close'>
  readonly clock: Clock
  readonly logger: Logger
}

/** In what the listeners speak. What stays on this machine is plain: programs that know nothing of our certificate use it. */
export interface ListenerTls extends AsyncDisposable {
  /** Undefined where it is plain, or something in front of us does TLS. */
  of(address: ListenAddress): ServerTls | undefined
}

/** Rejects with a `ConfigError` when the certificate cannot be used. */
export async function openListenerTls(
  { tls }: Pick<ServiceConfig, 'tls'>,
  parts: CertificateParts,
): Promise<ListenerTls> {
  if (tls === undefined || tls === 'offloaded') return { of: () => undefined, async [Symbol.asyncDispose]() {} }
  const { problems, clock, logger } = parts
  const options = {
    ...{ clock, logger },
    onTrouble(trouble: CertificateTrouble | undefined) {
      if (trouble === undefined) problems.close('certificate')
      else problems.open('certificate', trouble)
    },
  }
  const certificate = await ServerCertificate.open(tls, options).catch((error: unknown) => {
    if (error instanceof CertificateError) throw new ConfigError([`tls.${error.field}: ${error.message}`])
    throw error
  })
  certificate.watch()
  return {
    of: (address) => (staysOnMachine(address) ? undefined : certificate),
    [Symbol.asyncDispose]: () => certificate[Symbol.asyncDispose](),
  }
}

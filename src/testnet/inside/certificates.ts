import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DOMAIN } from '../plan.ts'
import { run } from './run.ts'

export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
}

export interface Certificates {
  /** What a client must trust. */
  readonly caFile: string
  readonly site: CertificateFiles
  /** Signed by nobody but itself. */
  readonly selfSigned: CertificateFiles
}

/** Makes a certificate authority, a certificate of it for `*.cbtor.test`, and one that no client should accept. */
export async function createCertificates(directory: string, signal: AbortSignal): Promise<Certificates> {
  const config = join(directory, 'openssl.cnf')
  await writeFile(config, '[req]\ndistinguished_name = name\n[name]\n')
  const create = async (name: string, subject: string, args: readonly string[]): Promise<CertificateFiles> => {
    const files = { certFile: join(directory, `${name}.pem`), keyFile: join(directory, `${name}.key`) }
    await run(
      [
        ...['openssl', 'req', '-config', config, '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
        ...['-noenc', '-days', '30', '-subj', `/CN=${subject}`, '-out', files.certFile, '-keyout', files.keyFile],
        ...args,
      ],
      '',
      signal,
    )
    return files
  }
  const ca = await create('ca', 'CBTOR test network', [
    ...['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign'],
    ...['-addext', 'subjectKeyIdentifier=hash'],
  ])
  const leaf = ['-addext', 'basicConstraints=critical,CA:FALSE', '-addext', 'extendedKeyUsage=serverAuth']
  const [site, selfSigned] = await Promise.all([
    create('site', DOMAIN, [
      ...['-CA', ca.certFile, '-CAkey', ca.keyFile, ...leaf],
      ...['-addext', `subjectAltName=DNS:${DOMAIN},DNS:*.${DOMAIN}`, '-addext', 'authorityKeyIdentifier=keyid'],
    ]),
    create('badcert', `badcert.${DOMAIN}`, [...leaf, '-addext', `subjectAltName=DNS:badcert.${DOMAIN}`]),
  ])
  return { caFile: ca.certFile, site, selfSigned }
}

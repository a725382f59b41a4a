import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Certificate {
  readonly key: string
  readonly cert: string
}

/** Of targets over TLS. All but `stranger` are trusted. */
export interface Certificates {
  readonly good: Certificate
  readonly expired: Certificate
  readonly stranger: Certificate
  /** What is to be trusted, in PEM. */
  readonly trusted: string
}

const CONFIG = `
[ca]
default_ca = own
[own]
dir = .
new_certs_dir = .
database = index
serial = serial
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
`

/** Makes them with openssl, in a folder of their own below `folder`. All are for the name of their target. */
export function makeCertificates(folder: string): Certificates {
  const cwd = join(folder, 'certificates')
  mkdirSync(cwd)
  writeFileSync(join(cwd, 'ca.cnf'), CONFIG)
  writeFileSync(join(cwd, 'index'), '')
  const make = (name: string, from: string, to: string): Certificate => {
    const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd, stdio: 'pipe' })
    openssl(
      ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', `/CN=${name}`],
      ...['-addext', `subjectAltName=DNS:${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`],
    )
    openssl(
      ...['ca', '-batch', '-notext', '-selfsign', '-rand_serial', '-config', 'ca.cnf', '-keyfile', `${name}.key`],
      ...['-in', `${name}.csr`, '-out', `${name}.pem`, '-startdate', from, '-enddate', to],
    )
    const [key = '', cert = ''] = ['key', 'pem'].map((ext) => readFileSync(join(cwd, `${name}.${ext}`), 'utf8'))
    return { key, cert }
  }
  const good = make('good.test', '20200101000000Z', '20491231000000Z')
  const expired = make('expired.test', '20200101000000Z', '20200102000000Z')
  const stranger = make('stranger.test', '20200101000000Z', '20491231000000Z')
  return { good, expired, stranger, trusted: good.cert + expired.cert }
}

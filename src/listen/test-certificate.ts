import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadCertificate } from './certificate.ts'
import type { ServerTls } from './tls.ts'

const NAMES = 'DNS:localhost,DNS:cbtor.test,IP:127.0.0.1'

/** The files of a certificate of its own authority, with others to put into their place. Disposing it removes them. */
export class TestCertificate implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'cbtor-tls-'))
  readonly cert_file = join(this.#directory, 'cert.pem')
  readonly key_file = join(this.#directory, 'key.pem')

  /** `names`: as openssl writes subjectAltName; those of this machine when left out. */
  constructor(names = NAMES) {
    this.renew({ names })
  }

  get pem(): string {
    return readFileSync(this.cert_file, 'utf8')
  }

  /** Puts another into its place, of the same names, as whoever renews them does: file by file. */
  renew({ names = NAMES, days = 30 }: { readonly names?: string; readonly days?: number } = {}): void {
    const [cert, key] = [`${this.cert_file}.new`, `${this.key_file}.new`]
    const command =
      'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -subj /CN=cbtor.test -out CERT -keyout KEY'
    const args = command.split(' ').map((word) => ({ CERT: cert, KEY: key })[word] ?? word)
    execFileSync('openssl', [...args, '-days', String(days), '-addext', `subjectAltName=${names}`], { stdio: 'pipe' })
    chmodSync(key, 0o600)
    renameSync(cert, this.cert_file)
    renameSync(key, this.key_file)
  }

  /** As listeners have it, without looking at the files again. */
  async tls(): Promise<ServerTls> {
    const { context } = await loadCertificate(this)
    return { context, onChange() {} }
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true })
  }
}

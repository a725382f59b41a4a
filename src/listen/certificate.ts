import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { Clock } from '../lib/clock.ts'
import { isoTime } from '../lib/iso-time.ts'
import type { Logger } from '../lib/log.ts'

/** PEM files: the certificate with those between it and its authority, and its key without a passphrase. */
export interface CertificateFiles {
  readonly cert_file: string
  readonly key_file: string
}

/** What is wrong with the files: the field, and what would be right. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError'
  readonly field: keyof CertificateFiles

  constructor(field: keyof CertificateFiles, message: string) {
    super(message)
    this.field = field
  }
}

export interface LoadedCertificate {
  readonly context: SecureContextOptions
  /** Epoch milliseconds. */
  readonly validFrom: number
  readonly expiresAt: number
  /** What it is for, as X.509 writes it: `DNS:cbtor.lan, IP Address:192.0.2.7`. */
  readonly names: string
}

/** Rejects with a `CertificateError`. */
export async function loadCertificate(files: CertificateFiles): Promise<LoadedCertificate> {
  const cert = await read(files, 'cert_file')
  const key = await read(files, 'key_file')
  const { mode } = await stat(files.key_file)
  if (mode & 0o007)
    throw new CertificateError('key_file', `everybody may read ${files.key_file}: expected chmod o= ${files.key_file}`)
  const leaf = parse('cert_file', `${files.cert_file} holds no certificate: expected a PEM file`, () => {
    return new X509Certificate(firstCertificate(cert) ?? '')
  })
  const privateKey = parse(
    'key_file',
    `${files.key_file} holds no key that can be read: expected a PEM file without a passphrase`,
    () => createPrivateKey(key),
  )
  if (!leaf.checkPrivateKey(privateKey))
    throw new CertificateError('key_file', `${files.key_file} is not the key of the certificate in ${files.cert_file}`)
  const context: SecureContextOptions = { cert, key, minVersion: 'TLSv1.2' }
  try {
    createSecureContext(context)
  } catch (error) {
    throw new CertificateError('cert_file', `${files.cert_file} cannot be used: ${(error as Error).message}`)
  }
  return {
    context,
    validFrom: leaf.validFromDate.getTime(),
    expiresAt: leaf.validToDate.getTime(),
    names: leaf.subjectAltName ?? '',
  }
}

/** Of a PEM file: the certificate itself, without those that vouch for it. */
export function firstCertificate(pem: string): string | undefined {
  return /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(pem)?.[0]
}

async function read(files: CertificateFiles, field: keyof CertificateFiles): Promise<string> {
  try {
    return await readFile(files[field], 'utf8')
  } catch (error) {
    throw new CertificateError(field, `${files[field]} cannot be read: ${(error as Error).message}`)
  }
}

function parse<T>(field: keyof CertificateFiles, fault: string, make: () => T): T {
  try {
    return make()
  } catch {
    throw new CertificateError(field, fault)
  }
}

export const CERTIFICATE_POLL_MS = 2_000
const DAY_MS = 24 * 60 * 60 * 1_000
/** Who renews a certificate has done so by then; of one that lasts some days only, when a quarter of them is left. */
const EXPIRES_SOON_MS = 14 * DAY_MS

/** What an operator should know of the certificate; undefined when all is well. */
export interface CertificateTrouble {
  readonly severity: 'warn' | 'error'
  readonly text: string
}

export function judgeExpiry(
  { validFrom, expiresAt }: Pick<LoadedCertificate, 'validFrom' | 'expiresAt'>,
  now: number,
): CertificateTrouble | undefined {
  const soonMs = Math.min(EXPIRES_SOON_MS, (expiresAt - validFrom) / 4)
  const when = isoTime(expiresAt)
  if (expiresAt <= now) return { severity: 'error', text: `The certificate has expired at ${when}: renew it` }
  if (expiresAt - now < soonMs) return { severity: 'warn', text: `The certificate expires at ${when}: renew it` }
  if (validFrom > now) return { severity: 'warn', text: `The certificate is valid from ${isoTime(validFrom)} on only` }
  return undefined
}

export interface ServerCertificateOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** Told when it changes. */
  readonly onTrouble?: (trouble: CertificateTrouble | undefined) => void
}

/**
 * The certificate of our listeners, which looks every two seconds whether its files have changed. New ones are for new connections;
 * those that are open go on. Files that cannot be used, such as a certificate whose key is not there yet, leave the old one in its
 * place.
 */
export class ServerCertificate implements AsyncDisposable {
  readonly #files: CertificateFiles
  readonly #options: ServerCertificateOptions
  readonly #ended = new AbortController()
  readonly #listeners = new Set<(context: SecureContextOptions) => void>()
  #loaded: LoadedCertificate
  /** Of the files that are in use or were refused. */
  #known: string
  #fault: string | undefined
  #trouble: CertificateTrouble | undefined
  #watching: Promise<void> | undefined

  /** Rejects with a `CertificateError`. */
  static async open(files: CertificateFiles, options: ServerCertificateOptions): Promise<ServerCertificate> {
    const known = await fingerprint(files)
    return new ServerCertificate(files, options, await loadCertificate(files), known)
  }

  private constructor(
    files: CertificateFiles,
    options: ServerCertificateOptions,
    loaded: LoadedCertificate,
    known: string,
  ) {
    this.#files = files
    this.#options = options
    this.#loaded = loaded
    this.#known = known
  }

  get context(): SecureContextOptions {
    return this.#loaded.context
  }

  get expiresAt(): number {
    return this.#loaded.expiresAt
  }

  /** Calls back with each context that takes the place of the one before. */
  onChange(listener: (context: SecureContextOptions) => void): void {
    this.#listeners.add(listener)
  }

  /** Begins to look at the files. */
  watch(): void {
    this.#tellTrouble()
    this.#watching ??= this.#watch()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort()
    this.#listeners.clear()
    await this.#watching
  }

  async #watch(): Promise<void> {
    const { clock } = this.#options
    const { signal } = this.#ended
    let before = this.#known
    for (;;) {
      await clock.sleep(CERTIFICATE_POLL_MS, signal).catch(() => {})
      if (signal.aborted) return
      const now = await fingerprint(this.#files)
      // Twice the same: whoever writes the two files is done.
      if (now === before && now !== this.#known) await this.#reload(now)
      before = now
      this.#tellTrouble()
    }
  }

  async #reload(seen: string): Promise<void> {
    this.#known = seen
    const { logger } = this.#options
    try {
      this.#loaded = await loadCertificate(this.#files)
      this.#fault = undefined
      for (const listener of this.#listeners) listener(this.#loaded.context)
      logger.info({ expires: isoTime(this.expiresAt) }, 'certificate reloaded')
    } catch (error) {
      this.#fault = (error as Error).message
      logger.warn({ reason: this.#fault }, 'new certificate not used; the old one stays')
    }
  }

  #tellTrouble(): void {
    const { clock, onTrouble } = this.#options
    const trouble =
      judgeExpiry(this.#loaded, clock.now()) ??
      (this.#fault === undefined
        ? undefined
        : ({ severity: 'warn', text: `The new certificate is not used: ${this.#fault}` } as const))
    if (trouble?.text === this.#trouble?.text) return
    this.#trouble = trouble
    onTrouble?.(trouble)
  }
}

/** Of what the names lead to at the moment: changes whenever a file is written, replaced or moved. */
async function fingerprint(files: CertificateFiles): Promise<string> {
  const of = async (path: string) => {
    const { ino, dev, size, mtimeMs, ctimeMs, mode } = await stat(path)
    return [ino, dev, size, mtimeMs, ctimeMs, mode].join(' ')
  }
  const seen = [files.cert_file, files.key_file].map((path) => of(path).catch((error) => String(error.code)))
  return (await Promise.all(seen)).join(' | ')
}

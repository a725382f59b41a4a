import { readFileSync } from 'node:fs'
import { StoreError } from '../store/store-error.ts'
import { readPassword } from './pool-secret.ts'
import { parseStoreUrl } from './store-url.ts'
import type { StoreAccess } from './valkey-connection.ts'

export { StoreError } from '../store/store-error.ts'

/** As the configuration has it. */
export interface StoreSettings {
  /** Not `embedded`. */
  readonly store: string
  readonly cluster: {
    readonly replica: string
    readonly password_file?: string | undefined
    readonly ca_file?: string | undefined
  }
}

/** Where the shared store is and how it lets us in, with what the files say. Throws a `StoreError`. */
export function readStoreAccess({ store, cluster: { replica, password_file, ca_file } }: StoreSettings): StoreAccess {
  const address = parseStoreUrl(store)
  if (typeof address === 'string') throw new StoreError('refused', `Cannot use the store: ${address}`)
  return {
    address,
    password: password_file === undefined ? undefined : readPassword(password_file),
    ca: ca_file === undefined ? undefined : readCertificates(ca_file),
    clientName: `cbtor-${replica}`,
  }
}

function readCertificates(file: string): string {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : error
    throw new StoreError('refused', `Cannot read the authority of the store's certificate: ${why}`, { cause: error })
  }
  if (!text.includes('-----BEGIN CERTIFICATE-----'))
    throw new StoreError(
      'refused',
      `Cannot use ${file} as the authority of the store's certificate: expected a PEM file`,
    )
  return text
}

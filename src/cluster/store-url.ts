import { isIP } from 'node:net'

/** Where the shared store is, taken apart. */
export interface StoreAddress {
  readonly at: { readonly host: string; readonly port: number } | { readonly path: string }
  /** Undefined: the default user. */
  readonly user: string | undefined
  readonly db: number
  readonly hasTls: boolean
}

export const STORE_FORMS =
  'expected embedded, redis://IP:PORT, rediss://IP:PORT for TLS, or redis+unix:///path, such as redis://10.0.0.5:6379/0'
const NO_PASSWORD =
  'expected no password here, where others may see it: put it into a file, and name that as cluster.password_file'
const NO_NAME = 'expected an IP address, for a name would have to be looked up: such as redis://10.0.0.5:6379'
/** More than the 16 that a store has when nobody has set it up otherwise. */
const MAX_DB = 65_535
const DEFAULT_PORT = 6_379

/** A text says what would be right. */
export function parseStoreUrl(text: string): StoreAddress | string {
  const [, scheme = '', userInfo, rest = ''] = /^(rediss?|redis\+unix):\/\/(?:([^@/?#]*)@)?(.*)$/.exec(text) ?? []
  if (scheme === '') return STORE_FORMS
  if (userInfo?.includes(':')) return NO_PASSWORD
  const user = userInfo === undefined || userInfo === '' ? undefined : decoded(userInfo)
  if (user === null) return STORE_FORMS
  if (scheme === 'redis+unix') {
    const [, path = '', db = '0'] = /^(\/[^?#]+)(?:\?db=(\d{1,5}))?$/.exec(rest) ?? []
    const socket = decoded(path)
    if (!socket || Number(db) > MAX_DB) return STORE_FORMS
    return { at: { path: socket }, user, db: Number(db), hasTls: false }
  }
  const [, v6, name = '', port = `${DEFAULT_PORT}`, db = '0'] =
    /^(?:\[([^\]]+)\]|([^:[\]/?#]+))(?::(\d{1,5}))?(?:\/(\d{1,5})?)?$/.exec(rest) ?? []
  const host = v6 ?? name
  if (host === '' || Number(port) < 1 || Number(port) > 65_535 || Number(db) > MAX_DB) return STORE_FORMS
  if (host.includes('%') || isIP(host) !== (v6 === undefined ? 4 : 6)) return NO_NAME
  return { at: { host, port: Number(port) }, user, db: Number(db), hasTls: scheme === 'rediss' }
}

/** For people: `10.0.0.5:6379`, `[fd00::5]:6379`, `/run/valkey.sock`. */
export function showStoreAddress({ at }: Pick<StoreAddress, 'at'>): string {
  if ('path' in at) return at.path
  return `${at.host.includes(':') ? `[${at.host}]` : at.host}:${at.port}`
}

/** Null: it is not encoded as URLs are. */
function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

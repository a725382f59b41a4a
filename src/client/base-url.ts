const HTTP = /^https?:\/\/[^/?#@]+(?:\/[^?#]*)?$/i

/**
 * Takes an address as people have it, with a slash at its end when a browser showed it, and gives what paths are put behind. Throws for
 * what can be none, before a key is sent anywhere; a query, a fragment or a password is not told, for it may be a secret.
 */
export function httpPrefix(address: string): string {
  if (HTTP.test(address) && URL.canParse(address)) return address.replace(/\/+$/, '')
  const shown = address.replace(/(?<=\/\/)[^/?#]*@/, '…@').replace(/(?<=[?#]).+$/s, '…')
  throw new TypeError(
    `Cannot call the service at "${shown}": expected an address such as http://127.0.0.1:32211, or unix:/run/cbtor.sock where there are sockets`,
  )
}

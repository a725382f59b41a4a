/** What politeness is owed to: the host, or the onion service that it is a name of. */
export function siteOf(host: string): string {
  return host.endsWith('.onion') ? host.split('.').slice(-2).join('.') : host
}

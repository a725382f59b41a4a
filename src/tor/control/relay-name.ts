/** How Tor names a relay (control-spec 2.4, LongName). */
export interface RelayName {
  /** 40 upper-case hexadecimal digits. */
  readonly fingerprint: string
  readonly nickname: string | undefined
}

/** `$FINGERPRINT`, `$FINGERPRINT~nickname`, or `$FINGERPRINT=nickname` of a Tor older than 0.3.1.3. */
export function parseRelayName(text: string): RelayName | undefined {
  const [, fingerprint, nickname] = /^\$([0-9A-Fa-f]{40})(?:[~=](\w+))?$/.exec(text) ?? []
  return fingerprint === undefined ? undefined : { fingerprint: fingerprint.toUpperCase(), nickname }
}

/** The relays of a circuit, first to last; undefined when `text` is no such list. */
export function parsePath(text: string): readonly RelayName[] | undefined {
  const path: RelayName[] = []
  for (const name of text.split(',')) {
    const relay = parseRelayName(name)
    if (relay === undefined) return undefined
    path.push(relay)
  }
  return path
}

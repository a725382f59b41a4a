import { word } from '../quote.ts'
import { type CommandSender, request } from '../reply.ts'
import { splitFields, splitList } from '../text.ts'

/** A key that lets us in to an onion service which asks for client authorization. */
export interface OnionClientKey {
  /** 56 characters, without `.onion`. */
  readonly address: string
  /** x25519, base64. */
  readonly privateKey: string
}

/** `decrypted`: added, and a descriptor that Tor holds could be read with it. */
export type OnionClientAuthResult = 'added' | 'replaced' | 'decrypted'

/** ONION_CLIENT_AUTH_ADD (control-spec 3.30): kept in Tor's memory until it ends. */
export async function addOnionClientAuth(
  control: CommandSender,
  key: OnionClientKey,
  signal: AbortSignal,
): Promise<OnionClientAuthResult> {
  const line = `ONION_CLIENT_AUTH_ADD ${word(key.address)} x25519:${word(key.privateKey)}`
  const reply = await request(control, line, signal)
  switch (reply.lines[0]?.code) {
    case 251:
      return 'replaced'
    case 252:
      return 'decrypted'
    default:
      return 'added'
  }
}

/** ONION_CLIENT_AUTH_REMOVE (control-spec 3.31): whether there was a key. */
export async function removeOnionClientAuth(
  control: CommandSender,
  address: string,
  signal: AbortSignal,
): Promise<boolean> {
  const reply = await request(control, `ONION_CLIENT_AUTH_REMOVE ${word(address)}`, signal)
  return reply.lines[0]?.code !== 251
}

/** ONION_CLIENT_AUTH_VIEW (control-spec 3.32): the onion addresses that Tor has keys for, and where it keeps them. */
export async function viewOnionClientAuth(
  control: CommandSender,
  signal: AbortSignal,
): Promise<readonly { readonly address: string; readonly isPermanent: boolean }[]> {
  const reply = await request(control, 'ONION_CLIENT_AUTH_VIEW', signal)
  return reply.lines.flatMap(({ text }) => {
    const { words, values } = splitFields(text, 3)
    const [keyword, address] = words
    if (keyword !== 'CLIENT' || address === undefined) return []
    return [{ address, isPermanent: splitList(values.get('Flags')).includes('Permanent') }]
  })
}

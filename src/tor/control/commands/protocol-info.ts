import { type CommandSender, request } from '../reply.ts'
import { splitFields, splitList } from '../text.ts'

export interface ProtocolInfo {
  /** Tor's version, `0.4.9.11`; empty if it does not tell. */
  readonly torVersion: string
  /** How Tor lets a client in: `NULL`, `HASHEDPASSWORD`, `COOKIE`, `SAFECOOKIE`, or others to come. */
  readonly methods: readonly string[]
  /** The peer's word, for people to read. Never open it: whoever answers the port could name any file. */
  readonly cookieFile: string | undefined
}

/** PROTOCOLINFO (control-spec 3.21): before authentication Tor answers it once and hangs up at the second. */
export async function protocolInfo(control: CommandSender, signal: AbortSignal): Promise<ProtocolInfo> {
  const reply = await request(control, 'PROTOCOLINFO 1', signal)
  const info = (keyword: string) => {
    const line = reply.lines.find(({ text }) => text.startsWith(`${keyword} `))?.text ?? ''
    return splitFields(line, 1).values
  }
  return {
    torVersion: info('VERSION').get('Tor') ?? '',
    methods: splitList(info('AUTH').get('METHODS')),
    cookieFile: info('AUTH').get('COOKIEFILE'),
  }
}

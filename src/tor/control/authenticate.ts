import { createHmac, timingSafeEqual } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { Random } from '../../lib/random.ts'
import { type ProtocolInfo, protocolInfo } from './commands/protocol-info.ts'
import { AuthenticationError, ControlReplyError, ProtocolError } from './errors.ts'
import { type CommandSender, request } from './reply.ts'
import { splitFields } from './text.ts'

/** How we prove who we are. The method COOKIE is left out: it gives the cookie away to whoever answers the port. */
export type Credentials =
  /** SAFECOOKIE. `path` is where *we* know the cookie to be, never what the port reports. */
  | { readonly method: 'cookie-file'; readonly path: string }
  /** SAFECOOKIE, with the 32 bytes at hand (of a Tor on another machine). */
  | { readonly method: 'cookie'; readonly cookie: Buffer }
  /** HASHEDPASSWORD. Tor learns the password, so only on a connection that nobody else can answer. */
  | { readonly method: 'password'; readonly password: string }
  /** NULL: only for a socket that we handed to Tor ourselves. */
  | { readonly method: 'owned-socket' }

const COOKIE_BYTES = 32
const NONCE_BYTES = 32
const SERVER_KEY = 'Tor safe cookie authentication server-to-controller hash'
const CLIENT_KEY = 'Tor safe cookie authentication controller-to-server hash'

/**
 * Makes the first commands of a connection: PROTOCOLINFO, AUTHCHALLENGE, AUTHENTICATE (control-spec 3.5, 3.24). The
 * connection is closed on any failure; rejects with AuthenticationError when one of the two sides did not prove itself.
 */
export async function authenticate(
  control: CommandSender & Disposable,
  credentials: Credentials,
  random: Random,
  signal: AbortSignal,
): Promise<ProtocolInfo> {
  try {
    const info = await protocolInfo(control, signal)
    const proof = await prove(control, info, credentials, random, signal)
    await request(control, proof === '' ? 'AUTHENTICATE' : `AUTHENTICATE ${proof}`, signal)
    return info
  } catch (error) {
    control[Symbol.dispose]()
    if (!(error instanceof ControlReplyError)) throw error
    throw new AuthenticationError(`Cannot authenticate to Tor: it replied ${error.code} ${error.text}`, {
      cause: error,
    })
  }
}

/** What AUTHENTICATE has to say, in hexadecimal. */
async function prove(
  control: CommandSender,
  info: ProtocolInfo,
  credentials: Credentials,
  random: Random,
  signal: AbortSignal,
): Promise<string> {
  switch (credentials.method) {
    case 'cookie-file':
      requireMethod(info, 'SAFECOOKIE')
      return await answerChallenge(control, await readCookie(credentials.path), random, signal)
    case 'cookie':
      requireMethod(info, 'SAFECOOKIE')
      return await answerChallenge(control, credentials.cookie, random, signal)
    case 'password':
      requireMethod(info, 'HASHEDPASSWORD')
      if (credentials.password === '')
        throw new AuthenticationError('Cannot authenticate to Tor: the password is empty')
      return Buffer.from(credentials.password).toString('hex')
    case 'owned-socket':
      requireMethod(info, 'NULL')
      return ''
  }
}

function requireMethod(info: ProtocolInfo, method: string): void {
  if (info.methods.includes(method)) return
  throw new AuthenticationError(
    `Cannot authenticate to Tor: it does not offer ${method} but ${JSON.stringify(info.methods.join(','))}`,
  )
}

/** Makes Tor prove that it knows the cookie before we do: otherwise anybody who answers could learn our answer. */
async function answerChallenge(
  control: CommandSender,
  cookie: Buffer,
  random: Random,
  signal: AbortSignal,
): Promise<string> {
  requireCookie(cookie)
  const clientNonce = random.bytes(NONCE_BYTES)
  const reply = await request(control, `AUTHCHALLENGE SAFECOOKIE ${clientNonce.toString('hex')}`, signal)
  const { values } = splitFields(reply.lines[0]?.text ?? '', 1)
  const serverHash = bytes32(values.get('SERVERHASH'))
  const serverNonce = bytes32(values.get('SERVERNONCE'))

  const transcript = Buffer.concat([cookie, clientNonce, serverNonce])
  if (!timingSafeEqual(serverHash, hmac(SERVER_KEY, transcript))) {
    throw new AuthenticationError('Cannot authenticate to Tor: the peer does not know the cookie, so it is not our Tor')
  }
  return hmac(CLIENT_KEY, transcript).toString('hex')
}

async function readCookie(path: string): Promise<Buffer> {
  try {
    await using file = await open(path)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(COOKIE_BYTES + 1))
    return buffer.subarray(0, bytesRead)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new AuthenticationError(`Cannot read the control cookie: ${why}`, { cause })
  }
}

function requireCookie(cookie: Buffer): void {
  if (cookie.length === COOKIE_BYTES) return
  const size = cookie.length > COOKIE_BYTES ? 'more than' : `${cookie.length} of`
  throw new AuthenticationError(`Cannot authenticate to Tor: the cookie has ${size} ${COOKIE_BYTES} bytes`)
}

function bytes32(hex: string | undefined): Buffer {
  if (hex !== undefined && /^[0-9A-Fa-f]{64}$/.test(hex)) return Buffer.from(hex, 'hex')
  throw new ProtocolError('Cannot authenticate to Tor: the reply to AUTHCHALLENGE lacks 32 bytes of hash or nonce')
}

function hmac(key: string, data: Buffer): Buffer {
  return createHmac('sha256', key).update(data).digest()
}

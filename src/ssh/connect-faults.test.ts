import assert from 'node:assert/strict'
import { it } from 'node:test'
import { reasonOfFailedConnect } from './connect-faults.ts'
import type { DialProgress } from './dial.ts'

const box = { user: 'root', host: 'box.lan', port: 22 }
const NO_TCP: DialProgress = { isTcpUp: false, isAuthenticating: false, refusedHostKey: undefined }
const TCP: DialProgress = { ...NO_TCP, isTcpUp: true }
const AUTH: DialProgress = { ...TCP, isAuthenticating: true }

function failure(message: string, more: { level?: string; code?: string | number }): Error {
  return Object.assign(new Error(message), more)
}

const socket = (code: string) => failure(`connect ${code}`, { level: 'client-socket', code })

const CASES: readonly (readonly [what: string, error: Error | undefined, DialProgress, fault: string, why: RegExp])[] =
  [
    ['a closed port', socket('ECONNREFUSED'), NO_TCP, 'unreachable', /nothing listens at box\.lan:22.*dropbear start/],
    ['no route', socket('EHOSTUNREACH'), NO_TCP, 'unreachable', /link is down/],
    ['no name', socket('ENOTFOUND'), NO_TCP, 'unreachable', /"box\.lan" has no address/],
    ['no answer', socket('ETIMEDOUT'), NO_TCP, 'unreachable', /box is off/],
    ['a reset in the handshake', socket('ECONNRESET'), TCP, 'unreachable', /before the SSH handshake/],
    [
      'an early end',
      failure('Connection lost before handshake', { level: 'protocol' }),
      TCP,
      'unreachable',
      /before the/,
    ],
    ['an end in the middle', undefined, AUTH, 'unreachable', /during authentication/],
    [
      'no common algorithm',
      failure('Handshake failed: no matching key exchange algorithm', { level: 'handshake' }),
      TCP,
      'unreachable',
      /no matching key exchange/,
    ],
    [
      'no ed25519 host key',
      failure('Handshake failed: no matching host key format', { level: 'handshake' }),
      TCP,
      'untrusted',
      /no ssh-ed25519 host key/,
    ],
    [
      'another host key',
      failure('Handshake failed: Host denied (verification failed)', { level: 'handshake' }),
      { ...TCP, refusedHostKey: 'SHA256:other' },
      'untrusted',
      /is SHA256:other, which is not the pinned one\. Nothing was sent/,
    ],
    [
      'a refused key',
      failure('All configured authentication methods failed', { level: 'client-authentication' }),
      AUTH,
      'key-refused',
      /authorized_keys/,
    ],
    ['too many refused keys', failure('Too many', { code: 14 }), AUTH, 'key-refused', /authorized_keys/],
  ]

for (const [what, error, progress, fault, why] of CASES)
  it(`${what} is ${fault}`, () => {
    const reason = reasonOfFailedConnect(error, box, progress)
    assert.equal(reason.fault, fault)
    assert.match(reason.why, why)
  })

import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'

/** What circuits are shared by when the caller names no `sticky_key`. */
export const ISOLATIONS = ['destination', 'request', 'none'] as const
export type Isolation = (typeof ISOLATIONS)[number]

/** What the circuits of a request were shared by. */
export const IDENTITY_KINDS = [...ISOLATIONS, 'sticky'] as const
export type IdentityKind = (typeof IDENTITY_KINDS)[number]

/** Which exits an identity may have, as the caller asks for it. Countries are two lower-case letters (ISO 3166-1 alpha-2). */
export interface ExitRule {
  /** Only exits of this country. */
  readonly country?: string
  readonly excludeCountries?: readonly string[]
  /** Never the exit of the session with this sticky key. */
  readonly distinctFrom?: string
}

/** An exit rule with what it depends on looked up: what a worker is to obey. */
export interface ExitDemand {
  readonly country?: string
  readonly excludeCountries: readonly string[]
  /** Fingerprints of relays that may not be the exit, nor any of their families or addresses. */
  readonly notBy: readonly string[]
}

/**
 * What circuits, connections, TLS sessions and cookies are shared by: two requests with the same token may share them,
 * two with different tokens never do.
 */
export interface Identity {
  /** The id of the caller, for what is shared out among callers; left out for the service itself. */
  readonly owner?: string
  /** 43 characters of base64url: a keyed hash, never the caller's own key. */
  readonly token: string
  /** True when nobody will ask for this identity again: nothing of it is worth keeping. */
  readonly isOneOff: boolean
  /** True when its exit is to stay the same for as long as it is used: it has a sticky key. */
  readonly keepsExit: boolean
  /** What its exits have to be; any exit will do when left out. An exit that does not fit is never used. */
  readonly exit?: ExitDemand
}

export interface IdentityRequest {
  /** The id of the caller: identities of two callers never are the same. The service itself when left out. */
  readonly owner?: string
  readonly isolation: Isolation
  readonly stickyKey?: string
  /** How often the identity of the sticky key was renewed; 0, the default, is the one that restarts agree on. */
  readonly generation?: number
  /** The host of the first URL. */
  readonly host: string
  readonly exitRule?: ExitRule
}

/** Derives identities from a secret of the pool, so that a sticky key keeps its identity across restarts and replicas. */
export class Identities {
  /** Made once: of bytes, each hash would make it anew, which takes five times as long as the hash. */
  readonly #secret: KeyObject
  readonly #nonce: () => Buffer

  /** `secret`: at least 32 bytes. `nonce`: 32 fresh random bytes at each call. */
  constructor(secret: Buffer, nonce: () => Buffer) {
    if (secret.length < 32)
      throw new RangeError(`Cannot derive identities: the secret has ${secret.length} bytes of 32`)
    this.#secret = createSecretKey(secret)
    this.#nonce = nonce
  }

  /** An exit rule is part of who one is: the same key with another rule shares nothing with it. */
  for(request: IdentityRequest): Identity {
    const rule = `${ruleText(request.exitRule)}${ownerText(request.owner)}`
    if (request.stickyKey !== undefined) {
      const { generation = 0 } = request
      const kind = generation === 0 ? 'sticky' : `sticky ${generation}`
      return { ...this.#lasting(`${kind}${rule}`, request.stickyKey), keepsExit: true }
    }
    switch (request.isolation) {
      case 'destination':
        return this.#lasting(`destination${rule}`, request.host)
      case 'none':
        return this.#lasting(`shared${rule}`, '')
      case 'request':
        return { token: this.#hash('request', this.#nonce()), isOneOff: true, keepsExit: false }
    }
  }

  /** What stands for an owner's sticky key where others may look: 43 characters, the same at every replica, that tell nobody which it is. */
  sessionId(owner: string, stickyKey: string): string {
    return this.#hash(`session${ownerText(owner)}`, stickyKey)
  }

  #lasting(kind: string, name: string): Identity {
    return { token: this.#hash(kind, name), isOneOff: false, keepsExit: false }
  }

  /** The kind is hashed apart from the name, so that no name of one kind can pose as another kind's. */
  #hash(kind: string, name: string | Buffer): string {
    return createHmac('sha256', this.#secret).update(kind).update('\0').update(name).digest('base64url')
  }
}

/** JSON, so that no owner can pose as a rule, nor as another one. */
function ownerText(owner: string | undefined): string {
  return owner === undefined ? '' : ` of ${JSON.stringify(owner)}`
}

/** The same text for rules that mean the same; JSON has no NUL in it, whatever the key. Empty where there is no rule. */
function ruleText(rule: ExitRule | undefined): string {
  if (rule === undefined) return ''
  const { country = null, excludeCountries = [], distinctFrom = null } = rule
  return ` by ${JSON.stringify([country, [...new Set(excludeCountries)].sort(), distinctFrom])}`
}

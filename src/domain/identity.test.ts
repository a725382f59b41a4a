import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type ExitRule, Identities, type IdentityRequest } from './identity.ts'

const secret = Buffer.alloc(32, 1)
let drawn = 0
const nonce = () => Buffer.from(String(drawn++).padStart(32))
const identities = new Identities(secret, nonce)

describe('Identities', () => {
  it('gives one destination the same identity, and another destination another one', () => {
    const token = (host: string) => identities.for({ isolation: 'destination', host }).token
    assert.equal(token('a.test'), token('a.test'))
    assert.notEqual(token('a.test'), token('b.test'))
  })

  it('gives a sticky key one identity whatever the destination', () => {
    const token = (host: string) => identities.for({ isolation: 'destination', host, stickyKey: 'me' }).token
    assert.equal(token('a.test'), token('b.test'))
  })

  it('gives a sticky key another identity in each generation, of which 0 is the one without', () => {
    const token = (generation?: number) =>
      identities.for({
        isolation: 'none',
        host: 'a.test',
        stickyKey: 'me',
        ...(generation !== undefined && { generation }),
      }).token
    assert.equal(token(0), token())
    assert.equal(new Set([token(0), token(1), token(2), token(11)]).size, 4)
    assert.equal(token(2), token(2))
  })

  it('gives every request an identity of its own when asked, and says that nobody will ask for it again', () => {
    const draw = () => identities.for({ isolation: 'request', host: 'a.test' })
    assert.notEqual(draw().token, draw().token)
    assert.equal(draw().isOneOff, true)
  })

  it('makes the exit rule a part of who one is, however it is written', () => {
    const token = (exitRule?: ExitRule) =>
      identities.for({ isolation: 'destination', host: 'a.test', stickyKey: 'me', ...(exitRule && { exitRule }) }).token
    const rules: (ExitRule | undefined)[] = [
      undefined,
      {},
      { country: 'de' },
      { country: 'nl' },
      { excludeCountries: ['de'] },
      { excludeCountries: ['de', 'nl'] },
      { distinctFrom: 'de' },
      { country: 'de', distinctFrom: 'other' },
    ]
    assert.equal(new Set(rules.map(token)).size, rules.length)
    assert.equal(token({ excludeCountries: ['nl', 'de', 'nl'] }), token({ excludeCountries: ['de', 'nl'] }))
  })

  it('never lets one rule or key pose as another', () => {
    const request = fc.record({
      key: fc.string(),
      rule: fc.option(fc.record({ distinctFrom: fc.string() }), { nil: undefined }),
    })
    fc.assert(
      fc.property(request, request, (one, other) => {
        const [a, b] = [one, other].map(
          ({ key, rule }) =>
            identities.for({ isolation: 'none', host: 'x', stickyKey: key, ...(rule && { exitRule: rule }) }).token,
        )
        assert.equal(a === b, one.key === other.key && one.rule?.distinctFrom === other.rule?.distinctFrom)
      }),
    )
  })

  it('derives tokens of their own for each caller, whatever the isolation', () => {
    const request = fc.record({
      owner: fc.option(fc.constantFrom('a', 'b', 'a" by ["x'), { nil: undefined }),
      isolation: fc.constantFrom('destination' as const, 'none' as const),
      stickyKey: fc.option(fc.constantFrom('a', 'b'), { nil: undefined }),
    })
    const tokenOf = ({
      owner,
      stickyKey,
      isolation,
    }: {
      owner?: string | undefined
      stickyKey?: string | undefined
      isolation: 'destination' | 'none'
    }) =>
      identities.for({
        isolation,
        host: 'x',
        ...(owner !== undefined && { owner }),
        ...(stickyKey !== undefined && { stickyKey }),
      }).token
    fc.assert(
      fc.property(request, request, (one, other) => {
        if (one.owner !== other.owner) assert.notEqual(tokenOf(one), tokenOf(other))
      }),
    )
  })

  it('derives other tokens from another secret', () => {
    const other = new Identities(Buffer.alloc(32, 2), nonce)
    const request: IdentityRequest = { isolation: 'none', host: 'a.test' }
    assert.notEqual(identities.for(request).token, other.for(request).token)
  })

  it('never lets a host pose as a sticky key, nor a key show through', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (name) => {
        const asKey = identities.for({ isolation: 'destination', host: 'x', stickyKey: name }).token
        const asHost = identities.for({ isolation: 'destination', host: name }).token
        assert.notEqual(asKey, asHost)
        assert.match(asKey, /^[A-Za-z0-9_-]{43}$/)
      }),
    )
  })

  it('refuses a secret that is too short', () => {
    assert.throws(() => new Identities(Buffer.alloc(31), nonce), /31 bytes of 32/)
  })
})

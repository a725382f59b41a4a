import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { CbtorError } from '../domain/errors.ts'
import { MODES, ON_LOSS, type Routing } from '../domain/exchange.ts'
import { ISOLATIONS } from '../domain/identity.ts'
import { parseUserName } from './user-name.ts'

const WORKERS = ['tor01', 'berlin-2']
const workerIdOf = (ref: string) => WORKERS.find((id, index) => id === ref || String(index + 1) === ref)
const parse = (name: string) => parseUserName(name, workerIdOf)

describe('parseUserName()', () => {
  it('takes nothing for the defaults', () => {
    assert.deepEqual(parse(''), { isolation: 'destination' })
  })

  it('takes pairs with hyphens between them', () => {
    assert.deepEqual(parse('key-shop7'), { isolation: 'destination', mode: 'sticky', stickyKey: 'shop7' })
    assert.deepEqual(parse('isolate-request-country-de-worker-2-mode-least_connections'), {
      isolation: 'request',
      exitRule: { country: 'de' },
      workerId: 'berlin-2',
      mode: 'least_connections',
    })
    assert.deepEqual(parse('key-a-ttl-600-onloss-fail-exclude-us,gb-distinct-b'), {
      isolation: 'destination',
      mode: 'sticky',
      stickyKey: 'a',
      sessionTtlMs: 600_000,
      onLoss: 'fail',
      exitRule: { excludeCountries: ['us', 'gb'], distinctFrom: 'b' },
    })
  })

  it('takes pairs with semicolons between or behind them, whose values may have hyphens', () => {
    const key = { isolation: 'destination', mode: 'sticky', stickyKey: 'my-crawl-7' }
    assert.deepEqual(parse('key-my-crawl-7;'), key)
    assert.deepEqual(parse('key-my-crawl-7;country-de'), { ...key, exitRule: { country: 'de' } })
    assert.deepEqual(parse('key--;worker-berlin-2;'), { ...key, stickyKey: '-', workerId: 'berlin-2' })
    assert.equal(parse('key-country-de;').stickyKey, 'country-de')
  })

  it('refuses what it does not know, and what is there twice or empty', () => {
    const cases = [
      ['alice', /"alice" is none of its words.*key-my-shop;/],
      ['session-abc', /"session" is none/],
      ['key', /"key" has no value behind it/],
      ['key-', /"key" has no value/],
      ['-', /"" is none/],
      ['key-my-crawl', /"crawl" is none of its words.*key-my-shop;/],
      ['key-a-', /"" is none/],
      ['-key-a', /"" is none/],
      ['key-a-key-b', /"key" stands there twice/],
      ['key-a;key-a', /"key" stands there twice/],
      [';', /"" is no word-value/],
      ['key-a;;', /"" is no word-value/],
      [';key-a', /"" is no word-value/],
      ['key-a;country', /"country" is no word-value/],
      ['key-;', /"key" has no value/],
      ['KEY-a', /"KEY" is none/],
      ['Key-a;', /"Key" is none/],
      ['__proto__-a', /"__proto__" is none/],
      ['key-a:b', /printable ASCII/],
      ['key-\u00e9', /printable ASCII/],
      ['key-a b', /printable ASCII/],
      [`key-${'k'.repeat(65)}`, /1 to 64/],
      ['key-a-distinct-b c', /"distinct".*printable ASCII/],
      ['mode-fast', /"mode" must be one of round_robin, sticky/],
      ['key-..', /neither \. nor \.\./],
      ['isolate-all', /"isolate" must be one of destination, request, none/],
      ['key-a-onloss-cry', /"onloss" must be one of migrate, fail/],
      ['key-a-ttl-0', /from 1 to 604800/],
      ['key-a-ttl-604801', /from 1 to 604800/],
      ['key-a-ttl-1e3', /from 1 to 604800/],
      ['key-a-ttl-10s', /from 1 to 604800/],
      ['country-DE', /country code/],
      ['country-usa', /country code/],
      ['country-{us}', /country code/],
      ['country-zz', /country code/],
      ['exclude-us,,de', /country codes/],
      ['exclude-us,us', /each once/],
      ['exclude-us,', /country codes/],
    ] as const
    for (const [name, message] of cases) assert.throws(() => parse(name), { code: 'user_name_invalid', message }, name)
  })

  it('refuses contradictions, as the API does', () => {
    const cases = [
      ['key-a-isolate-request', /"isolate" must be left out/],
      ['key-a-mode-random', /"mode" must be sticky/],
      ['ttl-60', /without "key", "ttl"/],
      ['onloss-fail', /without "key", "onloss"/],
      ['key-a-distinct-a', /"distinct" must name another key/],
      ['country-de-exclude-us,de', /the same country/],
    ] as const
    for (const [name, message] of cases) assert.throws(() => parse(name), { code: 'user_name_invalid', message }, name)
    assert.equal(parse('key-a-mode-sticky').mode, 'sticky')
  })

  it('knows workers by id and number, and says when there is none', () => {
    assert.equal(parse('worker-tor01').workerId, 'tor01')
    assert.equal(parse('worker-2').workerId, 'berlin-2')
    for (const ref of ['3', 'tor1', '../x', '0'])
      assert.throws(() => parse(`worker-${ref}`), { code: 'worker_not_found' }, ref)
  })

  it('reads what was written, whatever it was', () => {
    fc.assert(
      fc.property(routing(), fc.boolean(), (wanted, byHyphen) => {
        const pairs = pairsOf(wanted)
        if (byHyphen && pairs.some(([, value]) => value.includes('-'))) return
        const name = byHyphen
          ? pairs.map((pair) => pair.join('-')).join('-')
          : pairs.map((pair) => `${pair.join('-')};`).join('')
        assert.deepEqual(parse(name), wanted)
      }),
      { numRuns: 5_000 },
    )
  })

  it('gives a routing or says why not, whatever it is given', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'key',
        'worker',
        'mode',
        'isolate',
        'country',
        'exclude',
        'distinct',
        'ttl',
        'onloss',
        '-',
        '-',
        ';',
        'de',
        '1',
      ),
      fc.string({ maxLength: 8, unit: 'binary' }),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const name = pieces.join('')
        try {
          const { stickyKey, isolation } = parse(name)
          assert.ok(ISOLATIONS.includes(isolation))
          assert.ok(stickyKey === undefined || name.includes(stickyKey))
        } catch (error) {
          assert.ok(error instanceof CbtorError && ['user_name_invalid', 'worker_not_found'].includes(error.code), name)
          assert.ok(/^[\x20-\x7e]*$/.test(error.message))
        }
      }),
      { numRuns: 20_000 },
    )
  })
})

function routing(): fc.Arbitrary<Routing> {
  const key = fc
    .string({ minLength: 1, maxLength: 64, unit: fc.constantFrom(...'abz09-_.,/<>!~=') })
    .filter((text) => text !== '.' && text !== '..')
  const countries = fc.uniqueArray(fc.constantFrom('us', 'gb', 'fr'), { minLength: 1 })
  const some = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
  const rule = fc
    .record({ country: some(fc.constantFrom('de', 'nl')), excludeCountries: some(countries), distinctFrom: some(key) })
    .map(defined)
  const common = { workerId: some(fc.constantFrom(...WORKERS)), exitRule: some(rule) }
  return fc
    .oneof(
      fc.record({ ...common, isolation: fc.constantFrom(...ISOLATIONS), mode: some(fc.constantFrom(...MODES)) }),
      fc.record({
        ...common,
        ...{ isolation: fc.constant('destination' as const), mode: fc.constant('sticky' as const) },
        ...{ stickyKey: key, onLoss: some(fc.constantFrom(...ON_LOSS)) },
        sessionTtlMs: some(fc.integer({ min: 1, max: 604_800 }).map((s) => s * 1_000)),
      }),
    )
    .map(defined)
    .map(
      ({ exitRule, ...rest }) =>
        ({ ...rest, ...(exitRule && Object.keys(exitRule).length > 0 && { exitRule }) }) as Routing,
    )
    .filter(({ stickyKey, exitRule }) => stickyKey === undefined || exitRule?.distinctFrom !== stickyKey)
}

function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T
}

function pairsOf({ isolation, stickyKey, mode, workerId, onLoss, sessionTtlMs, exitRule }: Routing) {
  const all: readonly (readonly [string, string | undefined])[] = [
    ['key', stickyKey],
    ['isolate', stickyKey === undefined ? isolation : undefined],
    ['mode', stickyKey === undefined ? mode : undefined],
    ['worker', workerId],
    ['onloss', onLoss],
    ['ttl', sessionTtlMs === undefined ? undefined : String(sessionTtlMs / 1_000)],
    ['country', exitRule?.country],
    ['exclude', exitRule?.excludeCountries?.join(',')],
    ['distinct', exitRule?.distinctFrom],
  ]
  return all.flatMap(([word, value]) => (value === undefined ? [] : [[word, value] as const]))
}

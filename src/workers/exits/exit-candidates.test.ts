import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { codeOf } from '../../domain/errors.ts'
import type { ExitDemand } from '../../domain/identity.ts'
import { FakeClock } from '../../lib/fake-clock.ts'
import { ExitCandidates } from './exit-candidates.ts'
import { ExitDirectory } from './exit-directory.ts'
import type { DescribedExit } from './exit-relay.ts'
import { fingerprintOf, testExit } from './test-exits.ts'

const never = new AbortController().signal

function lab(exits: DescribedExit[], { hasCountries = true, minimum = { exits: 2, families: 2 } } = {}) {
  const clock = new FakeClock()
  const asked: number[] = []
  const directory = new ExitDirectory({
    worker: 'tor01',
    clock,
    control: {
      relays: async () =>
        exits.map(({ nickname, fingerprint, address, bandwidth }) => ({
          ...{ nickname, fingerprint, address, bandwidth, orPort: 9001, otherAddresses: [], exitPorts: undefined },
          flags: ['Exit', 'Running', 'Valid'],
        })),
      countries: async () =>
        hasCountries ? new Map(exits.map(({ address, country = '' }) => [address, country])) : undefined,
      microdescriptors: async (fingerprints) => {
        asked.push(fingerprints.length)
        return new Map(
          exits.flatMap(({ fingerprint, descriptor }) =>
            fingerprints.includes(fingerprint) ? [[fingerprint, descriptor] as const] : [],
          ),
        )
      },
    },
  })
  const candidates = new ExitCandidates({ worker: 'tor01', directory, minimum, clock })
  const namesFor = async (demand: Partial<ExitDemand>, port = 443) =>
    (await candidates.for({ excludeCountries: [], notBy: [], ...demand }, port, never)).map(({ nickname }) => nickname)
  const refuses = async (demand: Partial<ExitDemand>, message: RegExp, port = 443) => {
    await assert.rejects(namesFor(demand, port), (error: Error) => {
      assert.equal(codeOf(error), 'no_exit_for_country_port')
      assert.match(error.message, message)
      return true
    })
  }
  return { clock, asked, namesFor, refuses, directory }
}

const FOUR = [
  testExit(1),
  testExit(2, { ports: 'accept 80' }),
  testExit(3, { country: 'nl', family: [4] }),
  testExit(4, { country: 'nl', family: [3] }),
]

describe('ExitCandidates', () => {
  it('gives the exits of a place that take a port', async () => {
    const { namesFor, refuses } = lab(FOUR)
    assert.deepEqual(await namesFor({}), ['exit1', 'exit3', 'exit4'])
    assert.deepEqual(await namesFor({ country: 'de' }, 80), ['exit1', 'exit2'])
    assert.deepEqual(await namesFor({ excludeCountries: ['nl'] }, 80), ['exit1', 'exit2'])
    await refuses({ country: 'de' }, /1 exits of 1 families in de take port 443, and there must be 2 of 2/)
    await refuses({ country: 'nl' }, /2 exits of 1 families in nl/)
    await refuses({ country: 'fr' }, /there are 0 exits in fr, and there must be 2/)
    await refuses({ excludeCountries: ['de', 'nl'] }, /there are 0 exits outside de, nl/)
  })

  it('leaves out the exit of another session and its family, of those that suffice without that', async () => {
    const { namesFor, refuses } = lab(FOUR, { minimum: { exits: 2, families: 1 } })
    assert.deepEqual(await namesFor({ notBy: [fingerprintOf(3)] }), ['exit1'])
    await refuses(
      { country: 'nl', notBy: [fingerprintOf(3)] },
      /every exit in nl .* is the other session's, or of its family/,
    )
  })

  it('refuses when nobody knows the family of the other session', async () => {
    const { refuses } = lab(FOUR)
    await refuses({ notBy: [fingerprintOf(9)] }, /is no exit any more/)
  })

  it('says that Tor needs to know where exits are, where the rule does', async () => {
    const { namesFor } = lab(FOUR, { hasCountries: false })
    assert.equal((await namesFor({ notBy: [fingerprintOf(1)] })).length, 2)
    for (const demand of [{ country: 'de' }, { excludeCountries: ['de'] }])
      await assert.rejects(namesFor(demand), (error: Error) => {
        assert.match(error.message, /tor-geoipdb/)
        return codeOf(error) === 'exit_rule_unsupported'
      })
  })

  it('works it out once a minute and for each list, and asks for the descriptors of the place alone', async () => {
    const { namesFor, asked, clock, directory } = lab(FOUR)
    await namesFor({ country: 'de' }, 80)
    await namesFor({ country: 'de' }, 80)
    assert.deepEqual(asked, [2])
    await clock.advance(60_000)
    await namesFor({ country: 'de' }, 80)
    assert.deepEqual(asked, [2])
    directory.outdate()
    await namesFor({ country: 'de' }, 80)
    await clock.advance(0)
    await namesFor({ country: 'de' }, 80)
    assert.deepEqual(asked, [2, 2])
  })
})

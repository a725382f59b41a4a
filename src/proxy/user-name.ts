import { isCountryCode } from '../domain/countries.ts'
import { CbtorError } from '../domain/errors.ts'
import { MODES, ON_LOSS, type Routing } from '../domain/exchange.ts'
import { ISOLATIONS } from '../domain/identity.ts'
import { printable } from '../lib/printable.ts'

/*
 * A user name is pairs of a word and a value, each pair joined by a hyphen: `key-shop7`. There are two ways to join pairs,
 * and which one it is can always be told:
 *
 *     key-shop7-country-de       by hyphens: then no value can have one
 *     key-my-shop;country-de     by semicolons, of which one is enough (`key-my-shop;`): then values may have hyphens
 *
 * Nothing is ever ignored: what would be dropped in silence, such as a mistyped word, would put requests into an identity
 * that their sender does not mean.
 */

const WORDS = ['key', 'worker', 'mode', 'isolate', 'country', 'exclude', 'distinct', 'ttl', 'onloss'] as const
type Word = (typeof WORDS)[number]
type Values = ReadonlyMap<Word, string>

/** As the API has it; a colon and a semicolon cannot be written in a user name. */
const STICKY_KEY = /^(?!\.{1,2}$)[\x21-\x39\x3c-\x7e]{1,64}$/
const MAX_TTL_S = 7 * 24 * 60 * 60
const HINT = 'for hyphens in a value, end each pair with a semicolon: key-my-shop;'

/**
 * What a user name says about as whom, and through which worker, its requests go. An empty one says nothing: the defaults.
 * `workerIdOf`: the id of the worker that is named by id or number. Throws `user_name_invalid` or `worker_not_found`.
 */
export function parseUserName(name: string, workerIdOf: (ref: string) => string | undefined): Routing {
  const values = valuesOf(name)
  refuseContradictions(values)
  const stickyKey = parsed(values, 'key', keyOf)
  const workerId = parsed(values, 'worker', (ref) => workerIdOf(ref) ?? unknownWorker(ref))
  const mode = stickyKey === undefined ? parsed(values, 'mode', oneOf(MODES)) : 'sticky'
  const onLoss = parsed(values, 'onloss', oneOf(ON_LOSS))
  const sessionTtlMs = parsed(values, 'ttl', ttlOf)
  const exitRule = exitRuleOf(values)
  return {
    isolation: parsed(values, 'isolate', oneOf(ISOLATIONS)) ?? 'destination',
    ...(stickyKey !== undefined && { stickyKey }),
    ...(mode !== undefined && { mode }),
    ...(workerId !== undefined && { workerId }),
    ...(onLoss !== undefined && { onLoss }),
    ...(sessionTtlMs !== undefined && { sessionTtlMs }),
    ...(exitRule !== undefined && { exitRule }),
  }
}

function exitRuleOf(values: Values): Routing['exitRule'] {
  const country = parsed(values, 'country', countryOf)
  const excludeCountries = parsed(values, 'exclude', countriesOf)
  const distinctFrom = parsed(values, 'distinct', keyOf)
  if (country === undefined && excludeCountries === undefined && distinctFrom === undefined) return undefined
  return {
    ...(country !== undefined && { country }),
    ...(excludeCountries !== undefined && { excludeCountries }),
    ...(distinctFrom !== undefined && { distinctFrom }),
  }
}

function valuesOf(name: string): Values {
  const values = new Map<Word, string>()
  if (name === '') return values
  for (const [word, value] of name.includes(';') ? pairsBySemicolon(name) : pairsByHyphen(name)) {
    if (values.has(word)) throw invalid(`"${word}" stands there twice`)
    if (value === '') throw invalid(`"${word}" has no value behind its hyphen`)
    values.set(word, value)
  }
  return values
}

type Pair = readonly [word: Word, value: string]

function pairsBySemicolon(name: string): Pair[] {
  const pairs = name.replace(/;$/, '').split(';')
  return pairs.map((pair) => {
    const [, word, value] = /^([^-]*)-(.*)$/s.exec(pair) ?? []
    if (word === undefined || value === undefined) throw invalid(`"${printable(pair)}" is no word-value`)
    if (!isWord(word)) throw invalid(`"${printable(word)}" is none of its words, which are ${WORDS.join(', ')}`)
    return [word, value]
  })
}

function pairsByHyphen(name: string): Pair[] {
  const parts = name.split('-')
  const pairs: Pair[] = []
  for (let index = 0; index < parts.length; index += 2) {
    const [word = '', value] = parts.slice(index, index + 2)
    // What looks like a word may be a part of a value with a hyphen.
    if (!isWord(word))
      throw invalid(`"${printable(word)}" is none of its words, which are ${WORDS.join(', ')}; ${HINT}`)
    if (value === undefined) throw invalid(`"${word}" has no value behind it; ${HINT}`)
    pairs.push([word, value])
  }
  return pairs
}

/** The contradictions that the API knows, too. */
function refuseContradictions(values: Values): void {
  const mode = values.get('mode')
  if (values.has('key')) {
    if (mode !== undefined && mode !== 'sticky')
      throw invalid('with "key", "mode" must be sticky or be left out: only sticky keeps its worker')
    if (values.has('isolate'))
      throw invalid('with "key", "isolate" must be left out: the key alone says what is shared')
    if (values.get('distinct') === values.get('key'))
      throw invalid('"distinct" must name another key: no session has another exit than its own')
  }
  for (const word of ['ttl', 'onloss'] as const) {
    if (values.has(word) && !values.has('key'))
      throw invalid(`without "key", "${word}" must be left out: it is about the session that the key names`)
  }
  const country = values.get('country')
  if (country !== undefined && values.get('exclude')?.split(',').includes(country))
    throw invalid('"country" and "exclude" name the same country, so no exit would be left')
}

function parsed<T>(values: Values, word: Word, parse: (value: string, word: Word) => T): T | undefined {
  const value = values.get(word)
  return value === undefined ? undefined : parse(value, word)
}

function keyOf(value: string, word: Word): string {
  if (STICKY_KEY.test(value)) return value
  throw invalid(
    `the value of "${word}" must be 1 to 64 printable ASCII characters without blanks, ":" and ";", and neither . nor ..`,
  )
}

function oneOf<const T extends string>(choices: readonly T[]): (value: string, word: Word) => T {
  return (value, word) => {
    const choice = choices.find((each) => each === value)
    if (choice !== undefined) return choice
    throw invalid(`the value of "${word}" must be one of ${choices.join(', ')}`)
  }
}

function ttlOf(value: string): number {
  if (/^[1-9]\d{0,5}$/.test(value) && Number(value) <= MAX_TTL_S) return Number(value) * 1_000
  throw invalid(`the value of "ttl" must be a whole number of seconds from 1 to ${MAX_TTL_S}`)
}

function countryOf(value: string): string {
  if (isCountryCode(value)) return value
  throw invalid('the value of "country" must be a country code of ISO 3166-1 in lower case, such as de')
}

function countriesOf(value: string): readonly string[] {
  const countries = value.split(',')
  if (countries.every(isCountryCode) && new Set(countries).size === countries.length) return countries
  throw invalid(
    'the value of "exclude" must be country codes of ISO 3166-1 in lower case, each once, with commas between them',
  )
}

function isWord(text: string): text is Word {
  return WORDS.some((word) => word === text)
}

function unknownWorker(ref: string): never {
  throw new CbtorError(
    'worker_not_found',
    `Cannot find worker "${printable(ref)}": it is neither a worker's id nor its number`,
  )
}

function invalid(reason: string): CbtorError {
  return new CbtorError('user_name_invalid', `Cannot read the user name: ${reason}`)
}

import { z } from 'zod'
import { oneOf, requestObject, wholeNumber } from './common.ts'
import { addContradictions, fetchShape } from './fetch-request.ts'

const { response_encoding: _ofWholeAnswers, ...shape } = {
  ...fetchShape,
  timeout_ms: fetchShape.timeout_ms.describe(
    'How many milliseconds it may take to the first byte of the answer, other workers and redirects included; from then on how long any pause of the body may be.',
  ),
  max_bytes: wholeNumber(1, Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('The largest body to pass on, counted as it is on the wire; any when left out.'),
  allow_truncated: fetchShape.allow_truncated.describe(
    'End a body that is larger than `max_bytes` in order, with `CBTOR-Truncated: true`, instead of breaking it off.',
  ),
}
const IS_OBJECT: { when(payload: z.core.ParsePayload): boolean } = {
  when: ({ value }) => typeof value === 'object' && value !== null,
}

/** As the body of a fetch, but for what is about an answer in JSON. */
export const fetchRawBody = requestObject(shape).superRefine(addContradictions, IS_OBJECT).meta({ id: 'FetchRaw' })

type Query = Omit<typeof shape, 'headers' | 'body' | 'body_encoding' | 'method'>
const { headers: _h, body: _b, body_encoding: _e, method: _m, ...inQuery } = shape

/** The same from a query, where everything is text: what asks by a GET sends nothing but headers of ours. */
export const fetchRawQuery = requestObject({
  url: inQuery.url.meta({ examples: ['https://example.com/file.tar.gz'] }),
  method: oneOf(['GET', 'HEAD'])
    .default('GET')
    .describe('The HTTP method.')
    .meta({ examples: ['GET'] }),
  timeout_ms: asNumber(inQuery.timeout_ms, '60000'),
  max_bytes: asNumber(inQuery.max_bytes, '104857600'),
  allow_truncated: asFlag(inQuery.allow_truncated),
  circuit_path: asFlag(inQuery.circuit_path),
  follow_redirects: asFlag(inQuery.follow_redirects),
  max_redirects: asNumber(inQuery.max_redirects, '10').describe('How many redirects to follow at most.'),
  allow_downgrade: asFlag(inQuery.allow_downgrade),
  allow_onion_to_clearnet: asFlag(inQuery.allow_onion_to_clearnet),
  mode: inQuery.mode.meta({ examples: ['sticky'] }),
  sticky_key: inQuery.sticky_key.meta({ examples: ['my-session-123'] }),
  on_loss: inQuery.on_loss.meta({ examples: ['fail'] }),
  session_ttl_s: asNumber(inQuery.session_ttl_s, '1800'),
  country: inQuery.country.meta({ examples: ['de'] }),
  exclude_countries: fromText(inQuery.exclude_countries, 'us,gb', (text) => text.split(',')),
  distinct_from: inQuery.distinct_from.meta({ examples: ['my-session-123'] }),
  hedge: asFlag(inQuery.hedge),
  isolation: inQuery.isolation.meta({ examples: ['request'] }),
  worker: inQuery.worker.meta({ examples: ['tor01'] }),
} satisfies Record<keyof Query | 'method', z.ZodType>).superRefine(addContradictions, IS_OBJECT)

function asNumber<T extends z.ZodType>(field: T, example: string) {
  return fromText(field, example, (text) => (/^\d{1,16}$/.test(text) ? Number(text) : text))
}

function asFlag<T extends z.ZodType>(field: T) {
  return fromText(field, 'true', (text) => (text === 'true' ? true : text === 'false' ? false : text))
}

/** A field, from its text. What cannot be one goes to the field's own rules, which say what would be right. */
function fromText<T extends z.ZodType>(field: T, example: string, parse: (text: string) => unknown) {
  return z
    .string()
    .meta({ examples: [example] })
    .optional()
    .transform((text): unknown => (text === undefined ? undefined : parse(text)))
    .pipe(field as unknown as z.ZodType<z.output<T>, unknown>)
    .describe(field.description ?? '')
}

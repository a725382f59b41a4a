import type { ProblemCode } from '../../domain/problems.ts'
import type { Clock } from '../../lib/clock.ts'
import type { ApiApp } from '../app.ts'
import type { Backend } from '../backend.ts'
import { cameBy } from '../came-by.ts'
import { clientSignal } from '../client-signal.ts'
import { documented } from '../docs/documented.ts'
import { findWorker } from '../find-worker.ts'
import { RepeatedFetches } from '../repeated-fetches.ts'
import { type FetchAnswerBody, fetchAnswerBody, toFetchAnswerBody } from '../schemas/fetch-answer.ts'
import { fetchBody, fetchHeaders, toFetchRequest } from '../schemas/fetch-request.ts'
import { digestOf } from '../schemas/idempotency.ts'

/** What can go wrong with a fetch, besides what can with every route. */
export const FETCH_PROBLEMS: readonly ProblemCode[] = [
  'url_required',
  'url_type',
  'url_too_long',
  'url_invalid',
  'url_control_character',
  'url_userinfo',
  'scheme_not_allowed',
  'host_invalid',
  'port_invalid',
  'onion_address_invalid',
  'country_invalid',
  'timeout_range',
  'session_invalid',
  'header_invalid',
  'header_forbidden',
  'headers_too_large',
  'port_not_allowed',
  'target_forbidden',
  'redirect_forbidden',
  'onion_auth_required',
  'onion_auth_rejected',
  'worker_not_found',
  'session_not_found',
  'session_worker_lost',
  'no_exit_for_country_port',
  'exit_rule_unsupported',
  'no_usable_exit',
  'tor_failure',
  'tor_extended',
  'exit_policy',
  'onion_not_found',
  'onion_descriptor_invalid',
  'onion_intro_failed',
  'resolve_failed',
  'no_route',
  'connection_refused',
  'connection_lost',
  'tls_certificate_expired',
  'tls_wrong_host',
  'tls_untrusted',
  'tls_old_version',
  'tls_not_spoken',
  'tls_handshake_lost',
  'tls_failure',
  'bad_response',
  'encoding_invalid',
  'decompression_limit',
  'response_too_large',
  'redirect_limit',
  'no_worker',
  'overloaded',
  'worker_unreachable',
  'worker_network',
  'timeout',
  'tor_timeout',
  'onion_rendezvous_failed',
  'onion_intro_timeout',
]

export function fetchRoutes(app: ApiApp, backend: Backend, clock: Clock): void {
  const repeated = new RepeatedFetches(clock)
  app.post(
    '/api/v1/fetch',
    {
      // Typed as the schema and tested against it: to have zod look through each answer again costs more than all else of the route.
      serializerCompiler: () => (answer) => JSON.stringify(answer),
      schema: {
        tags: ['Core'],
        operationId: 'fetch',
        summary: 'Fetch a URL anonymously via Tor',
        description:
          'Fetches a clearnet or `.onion` URL through a worker of the pool. The status of this answer says whether *we* delivered; the status of the target is in `status`. When a worker cannot connect, others are tried within `timeout_ms`; what may have reached the target is sent again only if its method is idempotent.',
        headers: fetchHeaders,
        body: fetchBody,
        response: { 200: fetchAnswerBody },
        ...documented({
          answered: 'The answer of the target, whatever its status.',
          requests: REQUESTS,
          answer: ANSWER,
          problems: [...FETCH_PROBLEMS, 'idempotency_key_reused', 'conflict'],
        }),
      },
    },
    async (request, reply) => {
      const { body } = request
      const worker = body.worker === undefined ? undefined : findWorker(backend.workers(), body.worker)
      const wanted = { ...toFetchRequest(body, request.caller, worker?.id), ...cameBy('fetch', request.headers) }
      const { 'idempotency-key': key } = request.headers
      const fetch = (signal: AbortSignal) => backend.fetch(wanted, signal)
      const { answer, isRepeated } =
        key === undefined
          ? { answer: await fetch(clientSignal(reply)), isRepeated: false }
          : await repeated.ask(
              { owner: request.caller.id, key, digest: digestOf(body), method: body.method },
              fetch,
              clientSignal(reply),
              request.onKeyGone,
            )
      if (isRepeated) reply.header('idempotency-replayed', 'true')
      request.workerId = answer.worker
      return toFetchAnswerBody(answer, body.response_encoding)
    },
  )
}

const REQUESTS = {
  'A page': { url: 'https://check.torproject.org/api/ip' },
  'A session that keeps its exit address': {
    url: 'https://example.com/login',
    mode: 'sticky',
    sticky_key: 'my-session-123',
  },
  'A session that rather ends than changes its exit': {
    url: 'https://example.com/account',
    sticky_key: 'my-session-123',
    on_loss: 'fail',
    session_ttl_s: 1_800,
  },
  'A page as it is shown in Germany, as somebody else than another session': {
    url: 'https://example.com/prices',
    country: 'de',
    distinct_from: 'my-session-123',
  },
  'A page, from anywhere but two countries': {
    url: 'https://example.com/',
    exclude_countries: ['us', 'gb'],
  },
  'A page, rather soon than seen by one exit only': { url: 'https://example.com/', hedge: true },
  'An onion service': { url: 'http://duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion/' },
  'A form, with circuits of its own': {
    url: 'https://example.com/search',
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: 'q=tor',
    isolation: 'request',
    timeout_ms: 30_000,
  },
}

/** For the documents. */
export const ANSWER: FetchAnswerBody = {
  url: 'https://check.torproject.org/api/ip',
  status: 200,
  status_text: 'OK',
  headers: { 'content-type': 'application/json', 'set-cookie': ['lang=en; Path=/'] },
  body: '{"IsTor":true,"IP":"203.0.113.7"}',
  body_encoding: 'text',
  worker: 'tor02',
  receipt: {
    worker: 'tor02',
    identity: 'destination',
    route: 'socks',
    exit: {
      nickname: 'exit2',
      fingerprint: 'A1B2C3D4E5F60718293A4B5C6D7E8F9001122334',
      address: '203.0.113.7',
      country: 'de',
    },
    connection_reused: false,
    session_moved: false,
    hedged: false,
    redirects: [],
    attempts: [{ worker: 'tor02', outcome: 'ok', ms: 912.4 }],
    timing: { queue_ms: 0.2, connect_ms: 480.1, tls_ms: 260.7, first_byte_ms: 170.9, body_ms: 0.3, total_ms: 912.4 },
    bytes: { received: 5_311, sent: 1_204, decoded: 33 },
    truncated: false,
  },
}

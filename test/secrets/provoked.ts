/** How each problem is provoked, with a planted word in every field that somebody can fill on the way there. */
import type { ProblemCode } from '../../src/domain/problems.ts'
import type { Asked, Asker, Credentials } from './asker.ts'
import { wordFor as word } from './words.ts'

export interface Provoker {
  /** May fetch and use sessions and the proxy. */
  readonly user: Asker
  readonly credentials: Credentials
  readonly admin: Asker
  /** Makes a key with these limits, and gives what asks with it. */
  limited(name: string, limits: Readonly<Record<string, number>>): Promise<Asker>
}

/** Resolves with an answer that has the problem; or says why that is not provoked here. */
export type Provocation = Provoke | { readonly notHere: string }
type Provoke = (by: Provoker) => Promise<Asked>

/** Of a key, as the service under test has it. */
export const MAX_JOBS = 5

const LABEL = 'duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad'

/** Everything that a caller can say of a fetch, each field with a word of its own. */
export function filled(host: string, path = '/page', scheme = 'http') {
  return {
    url: `${scheme}://${host}${path}${path.includes('?') ? '&' : '?'}q=${word('query')}#${word('fragment')}`,
    headers: {
      Authorization: `Bearer ${word('targetheader')}`,
      Cookie: `sid=${word('cookie')}`,
      [`X-${word('headername')}`]: word('headervalue'),
    },
    timeout_ms: 5_000,
  }
}

/** Another one each time, for one host gets only so many requests. */
const host = (start: string) => `${start}${hosts++}.${word('host')}.test`
let hosts = 0
/** By a name that says what is to become of it. */
const at = (start: string, path?: string, scheme?: string): Provocation => {
  return ({ user }) => user.fetch(filled(host(start), path, scheme))
}
/** By all ports, so that each has said it; what the API answers counts. */
const replied = (reply: string): Provoke => {
  return async ({ user, credentials }) => {
    const name = host(`reply-${reply}`)
    await user.connect(`${name}:80`, credentials)
    await user.forward(`http://${name}/${word('path')}`, credentials, [`Cookie: ${word('cookie')}`])
    await user.socks(name, 80, credentials)
    return await user.fetch(filled(name, `/${word('path')}`))
  }
}
const onion = (start: string): Provocation => {
  return async ({ user, credentials }) => {
    const name = `${start}.${word('subdomain')}.${LABEL}.onion`
    await user.connect(`${name}:80`, credentials)
    await user.socks(name, 80, credentials)
    return await user.fetch(filled(name, `/${word('path')}`))
  }
}
/** A fetch with one thing wrong with it. */
const wrong = (change: Readonly<Record<string, unknown>>): Provocation => {
  return ({ user }) => user.fetch({ ...filled(host('any')), ...change })
}

export const PROVOKED = {
  http_invalid: ({ user }) => user.raw('api', [`GET /${word('rawpath')} HTTP/1.1 ${word('garbage')}`]),
  duplicate_header: ({ user }) =>
    user.raw('api', [
      ...['GET /api/v1/health HTTP/1.1', 'Host: HOST'],
      ...['one', 'two'].map((n) => `Authorization: Bearer ${word(`key${n}`)}`),
    ]),
  invalid_json: ({ user }) => user.api('POST', '/api/v1/fetch', `{"url": "${word('json')}`),
  invalid_input: wrong({ max_bytes: word('number') }),
  unknown_field: wrong({ [word('fieldname')]: word('fieldvalue') }),
  url_required: wrong({ url: undefined }),
  url_type: wrong({ url: [word('url')] }),
  url_too_long: wrong({ url: `http://a.test/${word('path')}${'x'.repeat(9_000)}` }),
  url_invalid: wrong({ url: `http:///${word('path')}` }),
  url_control_character: wrong({ url: `http://a.test/${word('path')}\r\n${word('injected')}` }),
  url_userinfo: wrong({ url: `http://${word('user')}:${word('password')}@a.test/` }),
  scheme_not_allowed: wrong({ url: `ftp://${word('host')}/${word('path')}` }),
  host_invalid: wrong({ url: `http://-${word('host')}-.test/` }),
  port_invalid: wrong({ url: `http://${word('host')}.test:0/` }),
  onion_address_invalid: wrong({ url: `http://${word('host')}${LABEL.slice(word('host').length)}.onion/` }),
  country_invalid: wrong({ country: word('country') }),
  timeout_range: wrong({ timeout_ms: -1 }),
  session_invalid: wrong({ sticky_key: `${word('stickykey')}\u0000` }),
  header_invalid: wrong({ headers: { [`bad ${word('headername')}`]: word('headervalue') } }),
  header_forbidden: wrong({ headers: { 'X-Forwarded-For': word('headervalue') } }),
  headers_too_large: wrong({ headers: { 'X-Large': word('headervalue').repeat(3_000) } }),
  user_name_invalid: ({ user, credentials }) =>
    user.forward(`http://${host('any')}/`, { ...credentials, user: word('username') }),
  use_connect: ({ user, credentials }) => user.forward(`https://${host('any')}/${word('path')}`, credentials),
  config_invalid: { notHere: 'it takes a file with faults: src/service-reload.test.ts' },
  auth_required: ({ user }) =>
    user.raw('api', [`GET /api/v1/sessions/${word('stickykey')} HTTP/1.1`, 'Host: HOST', 'Connection: close']),
  auth_invalid: ({ user }) => user.as(`cbt_${word('keyid')}_${word('keysecret')}`).fetch(filled(host('any'))),
  auth_in_query_refused: ({ user }) => user.api('GET', `/api/v1/health?api_key=${word('querykey')}`),
  scope_missing: ({ user }) => user.api('GET', `/api/v1/tor/workers/${word('worker')}`),
  origin_not_allowed: ({ user }) =>
    user.api('POST', '/api/v1/fetch', filled(host('any')), { origin: `https://${word('origin')}.test` }),
  onion_auth_required: onion('reply-f4'),
  onion_auth_rejected: onion('reply-f5'),
  not_found: ({ user }) => user.api('GET', `/api/v1/${word('apipath')}?${word('apiquery')}`),
  worker_not_found: wrong({ worker: word('worker') }),
  session_not_found: ({ user }) => user.api('DELETE', `/api/v1/sessions/${word('nosuchsession')}`),
  key_not_found: ({ admin }) => admin.api('DELETE', `/api/v1/keys/${word('keyid')}`),
  job_not_found: ({ user }) => user.api('GET', `/api/v1/jobs/${word('job')}`),
  method_not_allowed: ({ user }) => user.api('PATCH', '/api/v1/fetch', filled(host('any'))),
  proxy_auth_required: async ({ user }) => {
    const strange = { user: word('username'), password: `cbt_${word('keyid')}_${word('password')}` }
    await user.connect(`${host('any')}:443`, strange)
    await user.socks(host('any'), 443, strange)
    return await user.forward(`http://${host('any')}/${word('path')}`, strange)
  },
  request_timeout: ({ user }) => user.bytes('api', `POST /${word('slowpath')} HTTP/1.1\r\nX-Slow: ${word('slow')}`),
  conflict: ({ admin }) => admin.api('POST', '/api/v1/tor/workers/spare/newnym'),
  payload_too_large: ({ user }) => user.api('POST', '/api/v1/fetch', `"${word('body').repeat(100_000)}"`),
  unsupported_media_type: ({ user }) =>
    user.api('POST', '/api/v1/fetch', word('body'), { 'content-type': `text/${word('mediatype')}` }),
  expectation_failed: ({ user }) =>
    user.raw('api', ['POST /api/v1/fetch HTTP/1.1', 'Host: HOST', `Expect: ${word('expect')}`]),
  host_not_allowed: ({ user }) => user.raw('api', ['GET / HTTP/1.1', `Host: ${word('apihost')}.test`]),
  resolve_unsupported: { notHere: 'a box in the way TransPort alone cannot look names up' },
  exit_rule_unsupported: wrong({ country: 'de', sticky_key: word('stickykey') }),
  idempotency_key_reused: async ({ user }) => {
    const post = (path: string) =>
      user.api('POST', '/api/v1/jobs', job(path), { 'idempotency-key': word('idempotencykey') })
    await post('one')
    return await post('another')
  },
  request_headers_too_large: ({ user }) =>
    user.raw('api', ['GET / HTTP/1.1', 'Host: HOST', `X-Large: ${word('apiheader').repeat(2_000)}`]),
  client_gone: { notHere: 'nobody is there to be answered; secrets.test.ts leaves in the middle of a request' },

  port_not_allowed: async ({ user, credentials }) => {
    await user.connect(`${host('any')}:25`, credentials)
    await user.socks(host('any'), 25, credentials)
    return await user.fetch(filled(`${host('any')}:25`))
  },
  target_forbidden: async ({ user, credentials }) => {
    await user.connect(`${word('host')}.local:80`, credentials)
    return await user.fetch(filled(`${word('host')}.local`))
  },
  redirect_forbidden: at('any', `/to?url=http://10.0.0.1/${word('location')}`),
  no_exit_for_country_port: { notHere: 'it takes a control port: test/leaks/secrets.test.ts' },
  rate_limited: async ({ limited }) => {
    const asker = await limited('slow', { rate: 0.01, burst: 1 })
    await asker.fetch(filled(host('any')))
    return await asker.fetch(filled(host('any')))
  },
  concurrency_limited: async ({ limited }) => {
    const asker = await limited('one', { concurrent: 1 })
    const slow = asker.fetch({ ...filled(host('any'), '/slow'), timeout_ms: 5_000 })
    const refused = await until('concurrency_limited', () => asker.fetch(filled(host('any'))))
    await slow
    return refused
  },
  quota_exceeded: async ({ limited }) => {
    const asker = await limited('little', { bytes_per_day: 1_000 })
    await asker.fetch(filled(host('any'), '/page?bytes=20000'))
    return await asker.fetch(filled(host('any')))
  },
  target_busy: ({ user }) => {
    // It says when it wants to be asked again.
    const request = filled(host('any'), '/busy')
    return until('target_busy', () => user.fetch(request))
  },
  too_many_jobs: async ({ user }) => {
    for (let n = 0; n < MAX_JOBS; n++) {
      const answer = await user.api('POST', '/api/v1/jobs', job(`n${n}`, 'slow'))
      if (answer.code === 'too_many_jobs') return answer
    }
    return await user.api('POST', '/api/v1/jobs', job('last', 'slow'))
  },

  internal: replied('07'),
  overloaded: { notHere: 'it takes 128 requests at once, or a control port: the tests of limits' },
  shutting_down: { notHere: 'secrets.test.ts asks while it stops the service' },
  store_unavailable: { notHere: 'it takes a shared store that is stopped: the contract of jobs' },

  no_worker: { notHere: 'secrets.test.ts stops all workers, at the end' },
  worker_unreachable: at('hangup'),
  worker_network: replied('03'),
  session_worker_lost: { notHere: 'secrets.test.ts stops all workers, at the end' },

  tor_failure: replied('01'),
  tor_extended: replied('f9'),
  exit_policy: replied('02'),
  no_usable_exit: { notHere: 'it takes a storm of circuits: the contract of drivers' },
  tor_timeout: async (by) => {
    await by.user.fetch({ ...filled(host('silent')), timeout_ms: 600 })
    return await replied('06')(by)
  },
  onion_not_found: onion('reply-f0'),
  onion_descriptor_invalid: onion('reply-f1'),
  onion_intro_failed: onion('reply-f2'),
  onion_rendezvous_failed: onion('reply-f3'),
  onion_intro_timeout: onion('reply-f7'),

  resolve_failed: replied('04'),
  no_route: { notHere: "only a stream's event tells it from resolve_failed" },
  connection_refused: replied('05'),
  connection_lost: at('any', '/close'),
  tls_certificate_expired: at('expired', `/${word('path')}`, 'https'),
  tls_wrong_host: at('wrong', `/${word('path')}`, 'https'),
  tls_untrusted: at('stranger', `/${word('path')}`, 'https'),
  tls_old_version: at('old', `/${word('path')}`, 'https'),
  tls_not_spoken: at('plain', `/${word('path')}`, 'https'),
  tls_handshake_lost: at('lost', `/${word('path')}`, 'https'),
  tls_failure: at('alpn', `/${word('path')}`, 'https'),
  bad_response: at('any', '/garbage'),
  encoding_invalid: at('any', '/badcoding'),
  decompression_limit: at('any', '/bomb'),
  response_too_large: ({ user }) => user.fetch({ ...filled(host('any'), '/page?bytes=5000'), max_bytes: 1_000 }),
  redirect_limit: at('any', '/to?loop'),
  timeout: ({ user }) => until('timeout', () => user.fetch({ ...filled(host('any'), '/slow'), timeout_ms: 2_000 })),
} as const satisfies Record<ProblemCode, Provocation>

/** Asks again while the machine is too busy for the one moment that is meant. */
async function until(code: ProblemCode, ask: () => Promise<Asked>): Promise<Asked> {
  let answer = await ask()
  for (let n = 0; n < 8 && answer.code !== code; n++) answer = await ask()
  return answer
}

/** A job with a word in every field. */
function job(path: string, page = 'page') {
  return {
    fetches: [{ ...filled(host('any'), `/${page}/${word('jobpath')}/${path}`), sticky_key: word('jobstickykey') }],
    name: word('jobname'),
    webhook: { url: `http://${host('any')}/${word('webhookpath')}`, secret: word('webhooksecret') },
  }
}

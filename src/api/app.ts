import { isUtf8 } from 'node:buffer'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import type { z } from 'zod'
import { ANYBODY, type Caller } from '../domain/caller.ts'
import { CbtorError } from '../domain/errors.ts'
import { PROBLEMS, type ProblemCode } from '../domain/problems.ts'
import type { Clock } from '../lib/clock.ts'
import { faultFields } from '../lib/fault-fields.ts'
import type { Logger } from '../lib/log.ts'
import { printable } from '../lib/printable.ts'
import type { Random } from '../lib/random.ts'
import { type ServerTls, TLS_HANDSHAKE_MS } from '../listen/tls.ts'
import { AccessCheck, accessOf } from './access.ts'
import { callerOf, checkStillGood, demandScope, refuseKeyInQuery } from './authenticate.ts'
import type { Backend } from './backend.ts'
import { answerBrokenHttp, refuseTunnel } from './broken-http.ts'
import { type AllowedHosts, checkCaller, checkExpectation, checkHeaders, checkMediaType } from './caller-rules.ts'
import type { KeyWatch } from './client-signal.ts'
import { docsRoutes } from './docs/routes.ts'
import { nestsDeeper } from './json-depth.ts'
import type { Keys } from './keys.ts'
import { manualRoutes } from './manual/routes.ts'
import { mcpRoutes } from './mcp/routes.ts'
import { OpenStreams } from './open-streams.ts'
import { type PageFiles, readPageFiles } from './page/page-files.ts'
import { pageRoutes } from './page/routes.ts'
import { InputError, inputErrorOf, problemBody, problemOf, retryAfterSeconds } from './problems.ts'
import { RouteTable } from './route-table.ts'
import { configRoutes } from './routes/config.ts'
import { endpointRoutes } from './routes/endpoints.ts'
import { eventRoutes } from './routes/events.ts'
import { fetchRoutes } from './routes/fetch.ts'
import { fetchRawRoutes } from './routes/fetch-raw.ts'
import { healthRoutes } from './routes/health.ts'
import { jobRoutes } from './routes/jobs.ts'
import { keyRoutes } from './routes/keys.ts'
import { liveRoutes } from './routes/live.ts'
import { metricsRoutes } from './routes/metrics.ts'
import { modeRoutes } from './routes/mode.ts'
import { newCircuitsRoutes } from './routes/new-circuits.ts'
import { problemRoutes } from './routes/problems.ts'
import { replicaRoutes } from './routes/replicas.ts'
import { requestRoutes } from './routes/requests.ts'
import { sessionRoutes } from './routes/sessions.ts'
import { torRoutes } from './routes/tor.ts'
import { whoamiRoutes } from './routes/whoami.ts'
import { workerRoutes } from './routes/workers.ts'
import { rule } from './rule.ts'
import { SECURITY_HEADERS } from './security-headers.ts'
import { refuseSlowClients } from './slow-clients.ts'

export type ApiApp = FastifyInstance<Server, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks. */
    caller: Caller
    /** Undefined where nobody is asked for a key. */
    onKeyGone: KeyWatch | undefined
    /** The worker that delivered, for the log. */
    workerId: string | undefined
  }
}

export interface ApiAppOptions {
  readonly backend: Backend
  readonly keys: Keys
  /** Whether requests must come with one. */
  readonly auth: 'on' | 'off'
  readonly logger: Logger
  readonly clock: Clock
  readonly random: Random
  readonly allowedHosts: AllowedHosts
  /** What clients speak with us in; plain when left out. */
  readonly tls?: ServerTls | undefined
  /** The page for people; undefined where it is not built. As it lies beside this program when left out. */
  readonly page?: PageFiles | undefined
}

const MAX_BODY_BYTES = 1024 * 1024
/** Of lists and objects in a body; what we take has 5. */
const MAX_DEPTH = 32
const HTTP_LIMITS = { headersTimeout: 10_000, connectionsCheckingInterval: 1_000, requireHostHeader: false }
/** After these, what is a request and what is the rest of the last one cannot be told on the connection. */
const UNCLEAR: ReadonlySet<ProblemCode> = new Set([
  'http_invalid',
  'duplicate_header',
  'request_headers_too_large',
  'expectation_failed',
])

/** The REST API without its socket: rules that hold for every request, then the routes. */
export async function createApiApp(options: ApiAppOptions): Promise<ApiApp> {
  const { backend, keys, auth, logger, clock, random, allowedHosts, tls } = options
  const page = 'page' in options ? options.page : readPageFiles()
  const app: ApiApp = Fastify({
    bodyLimit: MAX_BODY_BYTES,
    // Node's own limits leave a slow client 60 s for its headers and look for it every 30 s.
    http: HTTP_LIMITS,
    ...secured(tls),
    requestTimeout: 30_000,
    keepAliveTimeout: 5_000,
    return503OnClosing: false, // we answer with a problem instead
    genReqId: () => random.bytes(12).toString('base64url'),
    clientErrorHandler: (error, socket) => answerBrokenHttp(error, socket, random),
    frameworkErrors: (error, request, reply) => {
      prepare(request, reply)
      try {
        checkSender(request)
        sendProblem(error, request, reply)
      } catch (refusal) {
        sendProblem(refusal, request, reply)
      }
    },
  }).withTypeProvider<ZodTypeProvider>()
  app.server.on('connect', (_request, socket: Socket) => refuseTunnel(socket, random))
  // Instead of Node's own answer, which has no body: `checkSender` refuses it.
  app.server.on('checkExpectation', (request, response) => app.routing(request, response))
  app.setValidatorCompiler<z.ZodType>(({ schema }) => (data) => {
    const result = schema.safeParse(data, { reportInput: true })
    return result.success ? { value: result.data } : { error: inputErrorOf(result.error.issues) }
  })
  app.setSerializerCompiler(serializerCompiler)
  app.decorateRequest('workerId', undefined)
  app.decorateRequest('caller')
  app.decorateRequest('onKeyGone', undefined)
  acceptOnlyJson(app)

  refuseSlowClients(app, clock)
  const routes = new RouteTable()
  let isClosing = false
  const access = new AccessCheck()
  app.addHook('onRoute', ({ url, method }) => {
    access.admit(method, url)
    routes.add(url, method)
  })
  app.addHook('preClose', async () => {
    isClosing = true
  })

  app.addHook(
    'onRequest',
    rule((request, reply) => {
      prepare(request, reply)
      checkSender(request)
      if (auth === 'on') refuseKeyInQuery(request.url)
      if (isClosing) throw new CbtorError('shutting_down', 'Cannot take the request: the service is shutting down')
      if (request.is404) refuseUnknown(request, reply)
      admit(request)
      checkMediaType(request.headers)
    }),
  )
  app.addHook(
    'preHandler',
    rule(({ caller, onKeyGone }) => {
      if (onKeyGone !== undefined) checkStillGood(caller, keys)
    }),
  )
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (isClosing) reply.header('connection', 'close')
    done(null, payload)
  })
  app.setNotFoundHandler(refuseUnknown)
  app.setErrorHandler(sendProblem)

  await docsRoutes(app)
  manualRoutes(app)
  pageRoutes(app, page)
  fetchRoutes(app, backend, clock)
  fetchRawRoutes(app, backend, clock)
  jobRoutes(app, backend)
  healthRoutes(app, backend)
  modeRoutes(app, backend)
  configRoutes(app, backend)
  endpointRoutes(app, backend)
  replicaRoutes(app, backend)
  torRoutes(app, backend, clock)
  newCircuitsRoutes(app, backend, clock)
  workerRoutes(app, backend)
  sessionRoutes(app, backend)
  const streams = new OpenStreams()
  app.addHook('preClose', async () => streams.close())
  eventRoutes(app, backend, streams, clock)
  liveRoutes(app, backend, streams, clock)
  requestRoutes(app, backend)
  metricsRoutes(app, backend)
  problemRoutes(app)
  mcpRoutes(app, backend, { clock, random, logger })
  keyRoutes(app, keys, clock, logger)
  whoamiRoutes(app, keys, auth)
  await app.ready()
  access.finish()
  return app

  function prepare(request: FastifyRequest, reply: FastifyReply): void {
    reply.headers(SECURITY_HEADERS).header('x-request-id', request.id)
    const startedAt = clock.monotonic()
    reply.raw.once('close', () => {
      const fields = {
        request: request.id,
        key: (request.caller as Caller | undefined)?.id, // none yet of who is refused at the door
        method: request.method,
        route: request.routeOptions.url ?? 'none',
        status: reply.raw.writableEnded ? reply.statusCode : PROBLEMS.client_gone.status,
        ms: Math.round(clock.monotonic() - startedAt),
        worker: request.workerId,
      }
      logger.debug(fields, 'request answered')
    })
  }

  function checkSender({ raw, headers }: FastifyRequest): void {
    checkHeaders(raw.rawHeaders ?? []) // `inject` makes requests without them
    checkCaller(headers, allowedHosts, raw.socket)
    checkExpectation(headers)
  }

  /** Sees who asks, and whether they may. */
  function admit(request: FastifyRequest): void {
    const { url = '' } = request.routeOptions
    const needed = accessOf(request.method, url)
    if (needed === undefined) throw new Error(`Cannot tell who may use ${request.method} ${url}`)
    request.caller = ANYBODY
    if (auth === 'off' || needed === 'public') return
    const caller = callerOf(request.headers, keys)
    request.caller = caller
    request.onKeyGone = (listener) => keys.onGone(caller.id, listener)
    if (needed !== 'any') demandScope(caller, needed)
  }

  function refuseUnknown(request: FastifyRequest, reply: FastifyReply): never {
    const [path = ''] = request.url.split('?', 1)
    const methods = routes.methodsOf(path)
    if (methods.length === 0 || methods.includes(request.method)) {
      throw new CbtorError('not_found', `Cannot find the resource: nothing is at "${printable(path)}"`)
    }
    reply.header('allow', methods.join(', '))
    throw new CbtorError(
      'method_not_allowed',
      `Cannot answer ${request.method}: the resource has only ${methods.join(', ')}`,
    )
  }

  function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const problem = problemOf(error) ?? unexpected(error, request, reply)
    if (problem.retryAfterMs !== undefined) reply.header('retry-after', retryAfterSeconds(problem.retryAfterMs))
    if (PROBLEMS[problem.code].status === 401) reply.header('www-authenticate', 'Bearer realm="cbtor"')
    if (UNCLEAR.has(problem.code)) reply.header('connection', 'close')
    reply.header('cbtor-error', problem.code)
    reply
      .code(PROBLEMS[problem.code].status)
      .header('content-type', 'application/problem+json')
      .send(JSON.stringify(problemBody(problem, request.id)))
  }

  /** A bug of ours, or what a client's disconnect caused. Messages may quote targets, so the log has frames only. */
  function unexpected(error: unknown, request: FastifyRequest, reply: FastifyReply): CbtorError {
    if (reply.raw.destroyed) return new CbtorError('client_gone', 'Cannot answer: the client closed its connection')
    const { url: route } = request.routeOptions
    logger.error({ request: request.id, route, ...faultFields(error) }, 'request failed by a bug')
    return new CbtorError(
      'internal',
      'Cannot answer: an error of this service, which is in its log with the request_id',
    )
  }
}

/** Fastify's options for TLS, kept from its types: the server is one of https then, which is one of http in all that we use. */
function secured(tls: ServerTls | undefined): object {
  return tls === undefined ? {} : { https: { ...HTTP_LIMITS, ...tls.context, handshakeTimeout: TLS_HANDSHAKE_MS } }
}

/** No text/plain, no charset but UTF-8, no bytes replaced in silence. An empty body counts as none. */
function acceptOnlyJson(app: ApiApp): void {
  app.removeAllContentTypeParsers()
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, bytes, done) => {
    if (bytes.length === 0) return done(null, undefined)
    if (!isUtf8(bytes))
      return done(new CbtorError('invalid_json', 'Cannot read the request body: it is not valid UTF-8'))
    if (nestsDeeper(bytes, MAX_DEPTH)) {
      const message = `Cannot read the request body: it has more than ${MAX_DEPTH} lists and objects within each other`
      return done(new CbtorError('invalid_json', message))
    }
    const text = bytes.toString()
    return parseJson(request, text, (error, value) => done(error && (isJson(text) ? poisoned() : error), value))
  })
}

/** For what the parser refuses although it is JSON. */
function poisoned(): InputError {
  const message = 'must have no object with a key __proto__, nor one with a key constructor that has a key prototype'
  return new InputError([{ path: '', message, code: 'unknown_field' }])
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

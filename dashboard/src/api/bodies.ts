/** What the API sends, as its own schemas have it. Types only: nothing of the service is in the page. */
export type { EndpointsBody } from '../../../src/api/schemas/endpoint.ts'
export type { EventBody, EventsBody, EventsLostBody } from '../../../src/api/schemas/event.ts'
export type { FetchAnswerBody } from '../../../src/api/schemas/fetch-answer.ts'
export type { InspectedWorkerBody } from '../../../src/api/schemas/inspected-worker.ts'
export type { JobBody, JobResultBody, JobResultsBody, JobsBody } from '../../../src/api/schemas/job.ts'
export type {
  LiveBody,
  LiveChangeBody,
  LivePoolBody,
  LiveWorkerBody,
  SeriesPointBody,
} from '../../../src/api/schemas/live.ts'
export type { NewCircuitsBody } from '../../../src/api/schemas/new-circuits.ts'
export type { HealthBody, ModeAnswerBody } from '../../../src/api/schemas/pool.ts'
export type { ProblemBody } from '../../../src/api/schemas/problem.ts'
export type { ReplicasBody } from '../../../src/api/schemas/replica.ts'
export type { LiveRequestBody, RequestsBody } from '../../../src/api/schemas/requests.ts'
export type { SessionBody, SessionsBody } from '../../../src/api/schemas/session.ts'
export type { WhoamiBody } from '../../../src/api/schemas/whoami.ts'
export type { WorkerBody } from '../../../src/api/schemas/worker.ts'
export type { Scope } from '../../../src/domain/caller.ts'
export type { Mode } from '../../../src/domain/exchange.ts'
export type { DesiredState, HealthState } from '../../../src/domain/worker.ts'

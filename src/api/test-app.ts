import { FakeClock } from '../lib/fake-clock.ts'
import type { LogFields, Logger } from '../lib/log.ts'
import { seededRandom } from '../lib/random.ts'
import { type ApiApp, createApiApp } from './app.ts'
import { AllowedHosts } from './caller-rules.ts'
import { FakeBackend } from './fake-backend.ts'
import { FakeKeys } from './fake-keys.ts'
import type { PageFiles } from './page/page-files.ts'

interface LogLine {
  readonly level: string
  readonly fields: LogFields
  readonly message: string
}

/** Keeps what is logged, for tests. */
export class MemoryLogger implements Logger {
  readonly lines: LogLine[] = []
  #next = Promise.withResolvers<LogLine>()
  error = this.#writer('error')
  warn = this.#writer('warn')
  info = this.#writer('info')
  debug = this.#writer('debug')

  /** The next line that is logged. */
  next(): Promise<LogLine> {
    return this.#next.promise
  }

  child(): Logger {
    return this
  }

  #writer(level: string) {
    return (fields: LogFields, message: string) => {
      const line = { level, fields, message }
      this.lines.push(line)
      this.#next.resolve(line)
      this.#next = Promise.withResolvers()
    }
  }
}

export interface TestApp extends AsyncDisposable {
  readonly app: ApiApp
  readonly backend: FakeBackend
  readonly keys: FakeKeys
  readonly clock: FakeClock
  readonly logger: MemoryLogger
}

/** The API with a fake backend and without a socket, for `app.inject()`, whose Host is `localhost:80`. */
export async function createTestApp({
  auth = 'off',
  page,
}: {
  readonly auth?: 'on' | 'off'
  readonly page?: PageFiles | undefined
} = {}): Promise<TestApp> {
  const backend = new FakeBackend()
  const keys = new FakeKeys()
  const clock = new FakeClock()
  const logger = new MemoryLogger()
  const allowedHosts = new AllowedHosts(['localhost:80'])
  const app = await createApiApp({ backend, keys, auth, logger, clock, random: seededRandom(1), allowedHosts, page })
  return { app, backend, keys, clock, logger, [Symbol.asyncDispose]: () => app.close() }
}

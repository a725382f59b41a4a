import assert from 'node:assert/strict'
import type { CbtorError } from '../domain/errors.ts'
import type { FetchRequest } from '../domain/exchange.ts'
import { Identities } from '../domain/identity.ts'
import type { ProblemCode } from '../domain/problems.ts'
import { FakeClock } from '../lib/fake-clock.ts'
import { seededRandom, systemRandom } from '../lib/random.ts'
import { Fetcher, type FetcherOptions } from './fetcher.ts'
import { createTargetPolicy } from './target-policy.ts'
import { fetchRequest, TestServer, TestWorkers } from './test-lab.ts'

/** Long enough for everything to arrive on loopback. */
export async function turns(count = 30): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

const never = new AbortController().signal

/**
 * A fetcher over test workers and whatever is served. For tests. Dispose it to end all of it. A lost connection waits for
 * no verdict unless `options` say so, for the clock stands still.
 */
export async function createFetchLab(extraCa?: string, options: Partial<FetcherOptions> = {}) {
  const stack = new AsyncDisposableStack()
  const clock = new FakeClock()
  const workers = new TestWorkers()
  const identities = new Identities(Buffer.alloc(32, 1), () => systemRandom.bytes(32))
  const authorities = extraCa === undefined ? [] : [extraCa]
  const fetcher = new Fetcher({
    clock,
    source: workers,
    identities,
    policy: createTargetPolicy(),
    extraCa: authorities,
    random: seededRandom(1),
    verdictMs: 0,
    ...options,
  })

  const use = (address: string, server: TestServer) => {
    workers.network.set(address, server.port)
    return stack.use(server)
  }
  const fetch = (url: string, changes?: Partial<FetchRequest>) => fetcher.fetch(fetchRequest(url, changes), never)
  return {
    ...{ clock, workers, fetcher, use, fetch },
    serve: async (address: string, ...listener: Parameters<typeof TestServer.http>) =>
      use(address, await TestServer.http(...listener)),
    /** Answers every request and remembers its bytes. */
    async capture(address: string) {
      const seen: string[] = []
      const server = await TestServer.tcp((socket) =>
        socket.on('data', (bytes) => {
          seen.push(bytes.toString())
          socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
        }),
      )
      use(address, server)
      return seen
    },
    /** Lets time pass until `promise` settles, in steps that leave the network its time. */
    async passUntil<T>(promise: Promise<T>, stepMs = 250): Promise<T> {
      let isSettled = false
      const settle = () => {
        isSettled = true
      }
      promise.then(settle, settle)
      for (let steps = 0; !isSettled && steps < 2_000; steps++) await clock.advance(stepMs)
      return await promise
    },
    async fails(url: string, code: ProblemCode, changes?: Partial<FetchRequest>): Promise<CbtorError> {
      const error = await fetch(url, changes).then(
        () => assert.fail(`${url} was answered`),
        (error: CbtorError) => error,
      )
      assert.equal(error.code, code, String(error.cause instanceof Error ? error.cause.stack : error.stack))
      return error
    },
    async [Symbol.asyncDispose]() {
      fetcher[Symbol.dispose]()
      await stack.disposeAsync()
    },
  }
}

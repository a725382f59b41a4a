/** A reporter of node's test runner: a line of JSON for each test that has ended, from which `results.ts` reads. */
import { relative } from 'node:path'

/** How one test ended. */
export interface Result {
  /** Its path from the root of the project. */
  readonly file: string
  readonly title: string
  readonly outcome: 'green' | 'failed' | 'skipped'
}

interface TestEvent {
  readonly type: string
  readonly data: {
    readonly name?: string
    readonly file?: string
    readonly skip?: unknown
    readonly todo?: unknown
  }
}

const ROOT = new URL('../..', import.meta.url).pathname

export default async function* record(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type, data } of source) {
    if ((type !== 'test:pass' && type !== 'test:fail') || data.name === undefined || data.file === undefined) continue
    const outcome = type === 'test:fail' ? 'failed' : data.skip || data.todo ? 'skipped' : 'green'
    const result: Result = { file: relative(ROOT, data.file), title: data.name, outcome }
    yield `${JSON.stringify(result)}\n`
  }
}

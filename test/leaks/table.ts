/** A reporter of node's test runner: the table of all cases, and the figures that tests have told. */
import { CASES, casesOf } from './cases.ts'

interface TestEvent {
  readonly type: string
  readonly data: {
    readonly name?: string
    readonly message?: string
    readonly skip?: unknown
    readonly details?: { readonly type?: string }
  }
}

export default async function* table(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const results = new Map<string, { passed: number; failed: number }>()
  const figures: string[] = []
  for await (const { type, data } of source) {
    if (type === 'test:diagnostic' && data.message?.startsWith('figure: ')) figures.push(data.message.slice(8))
    if (type !== 'test:pass' && type !== 'test:fail') continue
    for (const id of casesOf(data.name ?? '')) {
      const result = results.get(id) ?? { passed: 0, failed: 0 }
      results.set(id, result)
      if (type === 'test:fail' || data.skip) result.failed++
      else result.passed++
    }
  }
  yield `\n${'case'.padEnd(5)} ${'what must not happen'.padEnd(74)} result\n`
  for (const [id, { what, testedIn, argued }] of Object.entries(CASES)) {
    const { passed, failed } = results.get(id) ?? { passed: 0, failed: 0 }
    const elsewhere = testedIn ?? argued ?? 'not run'
    const result = failed > 0 ? `FAILED (${failed} of ${passed + failed})` : passed > 0 ? `ok (${passed})` : elsewhere
    yield `${id.padEnd(5)} ${what.padEnd(74)} ${result}\n`
  }
  for (const figure of figures) yield `\n${figure}\n`
}

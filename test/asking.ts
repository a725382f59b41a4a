/** How tests ask: for the problem of a call that fails, again and again, some at a time. */
import { ApiProblem } from '../src/client/client.ts'

/** The problem that a call is answered with. */
export async function problemOf(call: Promise<unknown>): Promise<ApiProblem['problem']> {
  try {
    await call
  } catch (error) {
    if (error instanceof ApiProblem) return error.problem
    throw error
  }
  throw new Error('The call succeeded')
}

/** Asks again and again until `look` gives something. Fails after `limitMs`, with what `look` failed with last, if it did. */
export async function eventually<T>(look: () => Promise<T | undefined | false>, limitMs = 180_000): Promise<T> {
  const end = performance.now() + limitMs
  for (;;) {
    let failure: unknown
    const found = await look().catch((error: unknown) => {
      failure = error
      return undefined
    })
    if (found !== undefined && found !== false) return found
    if (performance.now() > end)
      throw new Error(`Nothing came within ${limitMs} ms of: ${look}`, {
        ...(failure !== undefined && { cause: failure }),
      })
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Some at a time. */
export async function each<T>(count: number, atATime: number, work: (n: number) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  let begun = 0
  const worker = async () => {
    while (begun < count) {
      const n = begun++
      results[n] = await work(n)
    }
  }
  await Promise.all(Array.from({ length: atATime }, worker))
  return results
}

import type { Clock } from './clock.ts'

/** What `promise` resolves to, or undefined when it has not resolved after `ms`. Rejects as `promise` does, if in time. */
export async function within<T>(clock: Clock, ms: number, promise: Promise<T>): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>()
  using _ = clock.timer(ms, () => late.resolve(undefined))
  return await Promise.race([promise, late.promise])
}

import { ConfigError } from './config/config-error.ts'
import type { RequestWatch } from './domain/request-watch.ts'
import type { Clock } from './lib/clock.ts'
import type { Logger } from './lib/log.ts'
import type { Random } from './lib/random.ts'
import { postToCollector } from './traces/collector.ts'
import { exportRequest } from './traces/otlp.ts'
import { RequestSpans } from './traces/request-spans.ts'
import { SpanExport } from './traces/span-export.ts'
import { readTracesConfig, type TracesConfig, TracesFault } from './traces/traces-config.ts'

/** What tells of requests to a collector, where there is one. Dispose it at the end. */
export interface ServiceTraces extends AsyncDisposable {
  readonly watches: readonly RequestWatch[]
}

/** Off unless the standard variables of OpenTelemetry ask for traces. Throws a `ConfigError` for what is wrong with them. */
export function openTraces(
  env: Readonly<Record<string, string | undefined>>,
  parts: { readonly clock: Clock; readonly random: Random; readonly logger: Logger; readonly version: string },
): ServiceTraces {
  const config = configOf(env)
  if (config === undefined) return { watches: [], async [Symbol.asyncDispose]() {} }
  const { clock, random, logger, version } = parts
  const { collector, sampler } = config
  const resource = { 'service.name': 'cbtor', 'service.version': version, ...config.resource }
  const sender = new SpanExport({
    ...{ clock, logger, timeoutMs: collector.timeoutMs },
    post: (spans, signal) =>
      postToCollector(collector, exportRequest(resource, { name: 'cbtor', version }, spans), signal),
  })
  const spans = new RequestSpans({ clock, random, sampler, add: (span) => sender.add(span) })
  return { watches: [spans], [Symbol.asyncDispose]: () => sender[Symbol.asyncDispose]() }
}

function configOf(env: Readonly<Record<string, string | undefined>>): TracesConfig | undefined {
  try {
    return readTracesConfig(env)
  } catch (error) {
    if (error instanceof TracesFault) throw new ConfigError([error.message])
    throw error
  }
}

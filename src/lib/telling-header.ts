const TELLING =
  /^(?:x-forwarded(?:-.*)?|x-original-forwarded-.*|forwarded(?:-.*)?|via|x-bluecoat-via|x-real-ip|(?:x-|true-|x-true-|x-cluster-|fastly-|wl-proxy-)?client-ip|(?:x-)?originating-ip|(?:x-)?remote-(?:ip|addr)|x-proxyuser-ip|cf-connecting-ip(?:v6)?|(?:x-)?tor-stream-isolation|x-tor-.*|(?:x-)?cbtor-.*|traceparent|tracestate|baggage)$/

/**
 * Whether a header of a request tells of the client behind a proxy (as the ids of its traces do, which join what no target should join), or is meant for a proxy and not for the target. Targets that hand
 * headers on as variables of an environment cannot tell an underscore from a hyphen.
 */
export function tellsOfClient(name: string): boolean {
  return TELLING.test(name.toLowerCase().replaceAll('_', '-'))
}

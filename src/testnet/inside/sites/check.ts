import { type Routes, sendJson } from './exchange.ts'

/** Answers as check.torproject.org does: was the request sent by an exit of the network, and from which address. */
export function checkRoutes(exitAddresses: readonly string[]): Routes {
  const exits = new Set(exitAddresses)
  return [
    [
      /^\/api\/ip$/,
      (exchange) => sendJson(exchange, { IsTor: exits.has(exchange.sourceAddress), IP: exchange.sourceAddress }),
    ],
  ]
}

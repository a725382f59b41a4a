/** What `cbtor fetch` does. */

import { Readable } from 'node:stream'
import { type ApiClient, ApiProblem, type FetchAnswer, type RawAnswer } from '../client/client.ts'
import { openBodySink } from './body-sink.ts'
import { EXIT, ExitWith } from './exit-with.ts'
import { type FetchFlags, fetchOrder } from './fetch-order.ts'
import { writeJson } from './json.ts'
import type { ServiceParts } from './parts.ts'
import { ProgressLine } from './progress-line.ts'
import { rawReceiptText, receiptText } from './receipt-text.ts'
import { showBytes } from './spans.ts'

/** Less is there before anybody has looked. */
const SLOW_MS = 1_000
const LOOK_EVERY_MS = 500
/** The service's own. */
const DEFAULT_TIMEOUT_MS = 60_000
const GRACE_MS = 30_000

export async function runFetch(url: string, flags: FetchFlags, parts: ServiceParts): Promise<void> {
  const order = await fetchOrder(url, flags, parts.stdin ?? Readable.from([]))
  const api = await parts.connect(flags)
  try {
    if (flags.raw) await fetchRaw(api, order, flags, parts)
    else await fetchWhole(api, order, flags, parts)
  } catch (error) {
    if (!(error instanceof ApiProblem)) throw error
    if (flags.json) writeJson(parts.out, error.problem)
    if (flags.receipt && error.problem.receipt) parts.err.write(`${receiptText(error.problem)}\n`)
    if (!error.retryable) throw error
    throw new ExitWith(EXIT.retryable, `${error.message}. It may be fetched later${waitText(error.retryAfterMs)}`)
  }
}

function waitText(ms: number | undefined): string {
  return ms === undefined ? '' : `: in ${Math.ceil(ms / 1_000)} s`
}

async function fetchWhole(
  api: ApiClient,
  order: Parameters<ApiClient['fetch']>[0],
  flags: FetchFlags,
  parts: ServiceParts,
): Promise<void> {
  const { out, err } = parts
  const answer = await headOfAnswer((signal) => api.fetch(order, signal), flags, parts)
  if (flags.receipt) err.write(`${receiptText(answer)}\n`)
  if (flags.json) writeJson(out, answer)
  if (flags.fail && answer.status >= 400) throw refused(answer.status)
  if (flags.json) return
  await using sink = await openBodySink(flags.output, parts)
  if (flags.include) await sink.head(headOf(answer.status, answer.status_text, answer.headers))
  await sink.body(Buffer.from(answer.body, answer.body_encoding === 'base64' ? 'base64' : 'utf8'))
}

async function fetchRaw(
  api: ApiClient,
  order: Parameters<ApiClient['fetchRaw']>[0],
  flags: FetchFlags,
  parts: ServiceParts,
): Promise<void> {
  const { err } = parts
  const answer = await headOfAnswer((signal) => api.fetchRaw(order, signal), flags, parts)
  // Else the program would wait for a body that goes nowhere.
  using _ = { [Symbol.dispose]: () => answer.body.destroy() }
  if (flags.fail && answer.status >= 400) throw refused(answer.status)
  const { received } = await passOn(answer, flags, parts)
  if (flags.receipt) err.write(`${rawReceiptText(answer)}\n`)
  if (answer.trailers['cbtor-truncated'] === 'true')
    err.write(`cbtor: the body goes on after ${showBytes(received)}: it was cut off as --max-bytes says\n`)
}

async function passOn(answer: RawAnswer, flags: FetchFlags, parts: ServiceParts): Promise<{ received: number }> {
  await using sink = await openBodySink(flags.output, parts)
  if (flags.include) await sink.head(headOf(answer.status, '', targetHeaders(answer.headers)))
  const length = Number(answer.headers['content-length'] ?? Number.NaN)
  // Where the body is shown as it comes, it is the progress.
  const shows = parts.err.isTTY && !flags.silent && (!parts.out.isTTY || isFile(flags))
  const progress = new ProgressLine(parts.err)
  const startedAt = parts.clock.monotonic()
  let received = 0
  let shownAt = startedAt
  try {
    for await (const chunk of answer.body) {
      await sink.body(chunk)
      received += chunk.length
      const now = parts.clock.monotonic()
      if (!shows || now - shownAt < LOOK_EVERY_MS) continue
      shownAt = now
      const pace = `${showBytes((received * 1_000) / (now - startedAt))}/s`
      progress.show(
        received / length || 0,
        `${showBytes(received)}${length > 0 ? ` of ${showBytes(length)}` : ''}, ${pace}`,
      )
    }
  } catch (error) {
    parts.signal.throwIfAborted()
    if (error instanceof ExitWith) throw error
    const kept = isFile(flags) ? `, which are in ${flags.output}` : ''
    throw new ExitWith(
      EXIT.retryable,
      `Cannot fetch all of it: the body broke off after ${showBytes(received)}${kept}. It may be fetched later`,
    )
  } finally {
    progress.end()
  }
  return { received }
}

/** Waits for as long as the service may take, and a while longer. */
async function headOfAnswer<T>(
  ask: (signal: AbortSignal) => Promise<T>,
  flags: FetchFlags,
  parts: ServiceParts,
): Promise<T> {
  const giveUp = new AbortController()
  const late = new ExitWith(
    EXIT.unreachable,
    'Cannot fetch: the service has not answered in the time that it has for it. See what holds it: cbtor doctor',
  )
  using _limit = parts.clock.timer((flags.timeout ?? DEFAULT_TIMEOUT_MS) + GRACE_MS, () => giveUp.abort(late))
  const asked = ask(AbortSignal.any([parts.signal, giveUp.signal]))
  await showWaiting(asked, flags, parts)
  return await asked
}

/** Says that it takes a while, to somebody at a terminal, until it is settled. */
async function showWaiting(asked: Promise<unknown>, flags: FetchFlags, { err, clock }: ServiceParts): Promise<void> {
  let isSettled = false
  const settled = asked.then(
    () => (isSettled = true),
    () => (isSettled = true),
  )
  if (!err.isTTY || flags.silent) return
  const startedAt = clock.monotonic()
  const stop = new AbortController()
  const wait = (ms: number) => Promise.race([settled, clock.sleep(ms, stop.signal).catch(() => {})])
  await wait(SLOW_MS)
  while (!isSettled) {
    const seconds = Math.round((clock.monotonic() - startedAt) / 1_000)
    err.write(`\r\x1b[Kwaiting for ${seconds} s`)
    await wait(LOOK_EVERY_MS)
  }
  stop.abort()
  err.write('\r\x1b[K')
}

function refused(status: number): ExitWith {
  return new ExitWith(EXIT.refusedByTarget, `The target answered ${status}`)
}

function isFile({ output }: FetchFlags): boolean {
  return output !== undefined && output !== '-'
}

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

function headOf(status: number, statusText: string, headers: Headers): string {
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((each) => `${name}: ${each}`),
  )
  return `${[`HTTP/1.1 ${status} ${statusText}`.trimEnd(), ...lines].join('\r\n')}\r\n\r\n`
}

/** As the target sent them: those that describe the body come through, all others under another name. */
function targetHeaders(headers: Headers): FetchAnswer['headers'] {
  const own: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) continue
    const [, theirs] = /^cbtor-target-(.+)$/.exec(name) ?? []
    if (theirs !== undefined) own[theirs] = [value].flat() as string | string[]
    else if (name.startsWith('content-')) own[name] = value as string
  }
  return own
}

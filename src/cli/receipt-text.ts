import type { FetchAnswer, Problem, RawAnswer } from '../client/client.ts'
import { showBytes, showMs } from './spans.ts'
import { visible } from './visible.ts'

type Exit = FetchAnswer['receipt']['exit']
type Line = readonly [name: string, text: string | undefined]

/** How an answer came about, or how far a request came, in lines for people. */
export function receiptText(answered: FetchAnswer | Problem): string {
  const { receipt } = answered
  if (receipt === undefined) return ''
  const isDelivered = 'url' in answered
  const path = 'circuit_path' in receipt ? receipt.circuit_path : undefined
  const attempts = 'attempts' in receipt ? receipt.attempts : 'attempts' in answered ? answered.attempts : undefined
  const redirects =
    'redirects' in receipt ? receipt.redirects : 'redirects' in answered ? answered.redirects : undefined
  const { received, sent } = receipt.bytes
  const notes = [
    ...('connection_reused' in receipt && receipt.connection_reused ? ['kept connection'] : []),
    ...('session_moved' in receipt && receipt.session_moved ? ['the session has moved'] : []),
    ...('hedged' in receipt && receipt.hedged ? ['two workers were asked'] : []),
    ...('truncated' in receipt && receipt.truncated ? ['cut off'] : []),
  ]
  return lines([
    [
      'answer',
      isDelivered ? `${answered.status} ${answered.status_text} from ${answered.url}` : `none: ${answered.code}`,
    ],
    [
      'worker',
      receipt.worker === null ? 'none' : `${receipt.worker}${receipt.route === null ? '' : `, by ${receipt.route}`}`,
    ],
    ['identity', [receipt.identity, ...notes].join(', ')],
    ['exit', exitText(receipt.exit)],
    [
      'circuit',
      path?.map(({ nickname, country }) => (country === null ? nickname : `${nickname} (${country})`)).join(' → '),
    ],
    ['attempts', attempts?.map(({ worker, outcome, ms }) => `${worker} ${outcome} ${showMs(ms)}`).join(', ')],
    ['redirects', redirects?.map(({ status, from, to }) => `${status} ${from} → ${to}`).join(', ')],
    ['time', timesText(receipt.timing)],
    [
      'bytes',
      `${showBytes(received)} received, ${showBytes(sent)} sent${'decoded' in receipt.bytes ? `, ${showBytes(receipt.bytes.decoded)} of body` : ''}`,
    ],
  ])
}

/** The same of an answer whose receipt is in headers and trailers. */
export function rawReceiptText({ status, headers, trailers }: RawAnswer): string {
  const of = (name: string) => [headers[`cbtor-${name}`] ?? trailers[`cbtor-${name}`]].flat()[0]
  const [nickname, address, country] = [of('exit-nickname'), of('exit-address'), of('exit-country')]
  const timing = Object.fromEntries(
    [...(of('timing') ?? '').matchAll(/(\w+);dur=([\d.]+)/g)].map(([, name, ms]) => [`${name}_ms`, Number(ms)]),
  )
  const ended = { body_ms: Number(of('body-ms') ?? Number.NaN), total_ms: Number(of('total-ms') ?? Number.NaN) }
  return lines([
    ['answer', `${status} from ${of('url') ?? 'a long URL'}`],
    ['worker', `${of('worker')}, by ${of('route')}`],
    ['identity', `${of('identity')}${of('connection-reused') === 'true' ? ', kept connection' : ''}`],
    ['exit', nickname === undefined ? 'none, or not known' : [nickname, address, country].filter(Boolean).join(' ')],
    [
      'circuit',
      of('circuit-path')
        ?.replace(/[0-9A-F]{40};nickname=([^;,]+)(?:;country=(\w\w))?/g, '$1 ($2)')
        .replaceAll(', ', ' → ')
        .replaceAll(' ()', ''),
    ],
    [
      'attempts',
      of('attempts')
        ?.replaceAll('=', ' ')
        .replaceAll(/;ms ([\d.]+)/g, (_, ms) => ` ${showMs(Number(ms))}`)
        .replaceAll(',', ', '),
    ],
    ['time', timesText({ ...timing, ...ended })],
    ['bytes', of('bytes')?.replace(/(\w+)=(\d+)/g, (_, name, bytes) => `${showBytes(Number(bytes))} ${name}`)],
  ])
}

function exitText(exit: Exit): string {
  if (exit === null) return 'none, or not known'
  return [exit.nickname, exit.address, exit.country].filter((part) => part !== null).join(' ')
}

function timesText(timing: Readonly<Record<string, number | undefined>>): string {
  const parts = [
    ['queue', timing.queue_ms],
    ['connect', timing.connect_ms],
    ['tls', timing.tls_ms],
    ['first byte', timing.first_byte_ms],
    ['body', timing.body_ms],
    ['total', timing.total_ms],
  ] as const
  return parts
    .flatMap(([name, ms]) => (ms === undefined || Number.isNaN(ms) ? [] : [`${name} ${showMs(ms)}`]))
    .join(', ')
}

function lines(rows: readonly Line[]): string {
  return visible(rows.flatMap(([name, text]) => (text ? [`${name.padEnd(10)}${text}`] : [])).join('\n'))
}

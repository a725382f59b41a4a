import type { InspectedWorker } from '../client/client.ts'
import { showAge, showBytes, showMs, showSpan } from './spans.ts'
import { showNext } from './worker-table.ts'

type Circuit = NonNullable<InspectedWorker['circuits']>[number]

/** All that is known of a worker, a paragraph of lines. `now`: epoch milliseconds. */
export function workerText(worker: InspectedWorker, now: number): string {
  const { id, n, kind, desired, state, since, receives_traffic: receives } = worker
  const lines: (readonly [string, string | undefined])[] = [
    ['problem', worker.problem ?? undefined],
    ['process', showProcess(worker, now)],
    ['bootstrap', `${worker.bootstrap.progress} % (${worker.bootstrap.summary})`],
    ['requests', `${worker.requests}, ${worker.failures} failed, ${worker.leases} in hand`],
    ['check', showCheck(worker, now)],
    ['recovery', showRecovery(worker, now)],
    ['next', showNext(worker, now) || undefined],
    [
      'traffic',
      worker.traffic
        ? `${showBytes(worker.traffic.read_bytes)} read, ${showBytes(worker.traffic.written_bytes)} written`
        : undefined,
    ],
    ['consensus', worker.consensus ? `${showSpan(worker.consensus.age_s * 1_000)} old` : undefined],
    ['clock', worker.clock_skew_s === null ? undefined : `${worker.clock_skew_s} s off, as Tor sees it`],
    [
      'guards',
      worker.guards?.map(({ nickname, fingerprint, status }) => `${nickname ?? fingerprint} ${status}`).join(', '),
    ],
    ['box', showBox(worker)],
    ['not told', worker.not_told ?? undefined],
  ]
  const circuits = worker.circuits ?? []
  return [
    `${id} (${n}, ${kind}) is ${desired} and ${state}, for ${showAge(since, now)}; it receives ${receives ? 'traffic' : 'no traffic'}.`,
    ...lines.flatMap(([name, text]) => (text === undefined || text === '' ? [] : [`  ${name.padEnd(10)} ${text}`])),
    ...(circuits.length === 0 ? [] : [`  circuits   ${circuits.length}`]),
    ...circuits.map((circuit) => `    ${showCircuit(circuit)}`),
  ].join('\n')
}

function showProcess({ process, tor_version: version }: InspectedWorker, now: number): string {
  const pid = process.pid === null ? '' : `, pid ${process.pid}`
  const age = process.started_at === null ? '' : `, for ${showAge(process.started_at, now)}`
  return `${process.state}${pid}${age}${version === null ? '' : `, Tor ${version}`}`
}

function showCheck({ last_check: check }: InspectedWorker, now: number): string | undefined {
  if (check === null) return undefined
  const result = check.ok
    ? `ok${check.latency_ms === null ? '' : `, ${showMs(check.latency_ms)}`}`
    : `failed: ${check.error}`
  return `${result}, ${showAge(check.at, now)} ago`
}

function showRecovery({ last_recovery: recovery }: InspectedWorker, now: number): string | undefined {
  if (recovery === null) return undefined
  const steps = recovery.steps.map(({ name, ok, skipped, error }) =>
    skipped ? `${name} not needed` : ok ? `${name} ok` : `${name} failed (${error})`,
  )
  return `${recovery.ok ? 'well' : 'failed'} ${showAge(recovery.at, now)} ago: ${steps.join(', ')}`
}

function showBox({ box }: InspectedWorker): string | undefined {
  if (box === null) return undefined
  const { ssh, tunnel, node } = box
  return [
    `SSH ${ssh}`,
    ...(tunnel === null
      ? []
      : [tunnel.problems.length === 0 ? 'tunnel well' : `tunnel: ${tunnel.problems.join('; ')}`]),
    ...(node === null ? [] : [`says of itself: ${node.state}${node.reason === null ? '' : ` (${node.reason})`}`]),
  ].join(', ')
}

function showCircuit({ id, status, purpose, path, age_s: age }: Circuit): string {
  const relays = path.map((relay) => {
    const name = relay.nickname ?? relay.fingerprint.slice(0, 8)
    return relay.country ? `${name} (${relay.country})` : name
  })
  const old = age === null ? '' : `, ${showSpan(age * 1_000)}`
  return `${id}  ${status}${purpose === null ? '' : ` ${purpose}`}${old}: ${relays.join(' → ') || 'no relay yet'}`
}

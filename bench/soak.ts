/**
 * Many fetches through a running demo: how many fail, how long they take, and what the service's memory does.
 *
 *   npm run demo -- --state DIR
 *   node bench/soak.ts DIR/demo.json [fetches] [concurrency]
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createApiClient } from '../src/client/client.ts'

const [file = '', fetches = '10000', concurrency = '32'] = process.argv.slice(2)
const demo = JSON.parse(readFileSync(file, 'utf8')) as { api: string; key_file: string; www_url: string }
const api = createApiClient({ baseUrl: demo.api, key: readFileSync(demo.key_file, 'utf8').trim() })
const servicePid = pidListeningOn(new URL(demo.api).port)
const failures = new Map<string, number>()
const times: number[] = []
const total = Number(fetches)
let begun = 0

const startedAt = performance.now()
await Promise.all(Array.from({ length: Number(concurrency) }, worker))
const seconds = (performance.now() - startedAt) / 1_000
times.sort((a, b) => a - b)
const at = (share: number) => times[Math.floor((times.length - 1) * share)]?.toFixed(0)
const failed = [...failures.values()].reduce((sum, count) => sum + count, 0)
print(
  `${total} fetches, ${concurrency} at a time: ${failed} failed, ${(total / seconds).toFixed(0)}/s, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`,
)
for (const [what, count] of failures) print(`  ${count} × ${what}`)

async function worker(): Promise<void> {
  while (begun < total) {
    const number = ++begun
    const from = performance.now()
    try {
      // Every tenth is an identity of its own, as a crawler's would be.
      const { status } = await api.fetch({
        url: demo.www_url,
        ...(number % 10 === 0 && { isolation: 'request' as const }),
      })
      if (status !== 200) count(`status ${status}`)
    } catch (error) {
      count(String(error))
    }
    times.push(performance.now() - from)
    if (number === 1_000 || number % 10_000 === 0) print(`after ${number}: ${residentMiB()} MiB resident`)
  }
}

function count(what: string): void {
  failures.set(what, (failures.get(what) ?? 0) + 1)
}

function residentMiB(): string {
  const [, kib = '0'] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${servicePid}/status`, 'utf8')) ?? []
  return (Number(kib) / 1024).toFixed(0)
}

function pidListeningOn(port: string): string {
  const [, pid = ''] = /pid=(\d+)/.exec(execFileSync('ss', ['-Hltnp', `sport = :${port}`], { encoding: 'utf8' })) ?? []
  return pid
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

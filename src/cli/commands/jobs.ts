import { readFileSync } from 'node:fs'
import { Command, InvalidArgumentError } from 'commander'
import type { JobBody, JobResultBody } from '../../api/schemas/job.ts'
import type { ApiClient } from '../../client/client.ts'
import { parseDuration } from '../../config/duration.ts'
import { ask } from '../ask.ts'
import { openBodySink } from '../body-sink.ts'
import { type JsonFlags, type ServiceFlags, withService } from '../flags.ts'
import { writeJson } from '../json.ts'
import type { ServiceParts } from '../parts.ts'
import { formatTable } from '../table.ts'
import { visible } from '../visible.ts'

type Flags = ServiceFlags & JsonFlags

interface SubmitFlags extends Flags {
  readonly file?: string
  readonly name?: string
  readonly deadline?: number
  readonly webhook?: string
  readonly idempotencyKey?: string
}

interface ResultsFlags extends Flags {
  readonly output?: string
}

type Order = Parameters<ApiClient['submitJob']>[0]

const PAGE = 100

export function jobsCommand(parts: ServiceParts): Command {
  return new Command('jobs')
    .addCommand(submitCommand(parts))
    .addCommand(listCommand(parts))
    .addCommand(ofJob(parts, 'show', 'show how far a job has come', (api, id, signal) => api.job(id, signal)))
    .addCommand(resultsCommand(parts))
    .addCommand(
      ofJob(parts, 'cancel', 'end a job at once; what it has got stays', (api, id, signal) =>
        api.cancelJob(id, signal),
      ),
    )
    .addCommand(
      ofJob(parts, 'remove', 'forget a job that has ended, with its results', (api, id, signal) =>
        api.removeJob(id, signal),
      ),
    )
    .addHelpText('after', '\nExamples:\n  cbtor jobs submit http://example.onion/ --deadline 2d\n  cbtor jobs list')
}

function submitCommand(parts: ServiceParts): Command {
  return withService(new Command('submit'))
    .description('order a job, and print its id')
    .argument('[urls...]', 'what to fetch by GET')
    .option('--file <file>', 'the order in JSON, as POST /api/v1/jobs takes it; "-" for standard input')
    .option('--name <name>', 'for people')
    .option('--deadline <duration>', 'how long it may go on, such as 2d', toDuration)
    .option('--webhook <url>', 'where to tell that it has ended')
    .option('--idempotency-key <key>', 'with the same key, the same order within 24 hours is the same job')
    .option('--json', 'the whole job, as JSON')
    .addHelpText(
      'after',
      '\nThe secret that webhooks are signed with stands in --file, where other users of this machine do not see it.\n' +
        '\nExamples:\n  cbtor jobs submit http://example.onion/ --deadline 2d\n  cbtor jobs submit --file order.json --json',
    )
    .action(async (urls: readonly string[], flags: SubmitFlags) => {
      const { idempotencyKey } = flags
      const order = orderOf(urls, flags)
      const options = { ...(idempotencyKey !== undefined && { idempotencyKey }) }
      const job = await ask(flags, parts, (api, signal) => api.submitJob(order, options, signal))
      if (flags.json) writeJson(parts.out, job)
      else parts.out.write(`${visible(job.id)}\n`)
    })
}

/** What is wrong with it, the service says. */
function orderOf(urls: readonly string[], { file, name, deadline, webhook }: SubmitFlags): Order {
  const written = file === undefined ? { fetches: [] } : readOrder(file)
  return {
    ...written,
    fetches: [...written.fetches, ...urls.map((url) => ({ url }))],
    ...(name !== undefined && { name }),
    ...(deadline !== undefined && { retry: { ...written.retry, deadline_s: Math.ceil(deadline / 1_000) } }),
    ...(webhook !== undefined && { webhook: { ...written.webhook, url: webhook } }),
  }
}

function readOrder(file: string): Order {
  let order: unknown
  try {
    order = JSON.parse(readFileSync(file === '-' ? 0 : file, 'utf8'))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`Cannot read the order ${file}: ${reason}`, { cause: error })
  }
  if (typeof order === 'object' && order !== null && 'fetches' in order && Array.isArray(order.fetches))
    return order as Order
  throw new Error(`Cannot take the order ${file}: it has no list "fetches"`)
}

function listCommand(parts: ServiceParts): Command {
  return withService(new Command('list'))
    .description('show the jobs of the key, the newest first')
    .addHelpText('after', '\nExample:\n  cbtor jobs list')
    .option('--owner <id>', 'those of another key, or "*" for all; takes the key of an admin')
    .option('--json', 'as JSON')
    .action(async (flags: Flags & { readonly owner?: string }) => {
      const jobs = await all(async (cursor) => {
        const query = { limit: PAGE, ...(cursor !== null && { cursor }), ...(flags.owner && { owner: flags.owner }) }
        const page = await ask(flags, parts, (api, signal) => api.jobs(query, signal))
        return { items: page.jobs, next: page.next_cursor }
      })
      if (flags.json) writeJson(parts.out, { jobs })
      else parts.out.write(`${jobTable(jobs)}\n`)
    })
}

function resultsCommand(parts: ServiceParts): Command {
  return withService(new Command('results'))
    .description('show what the fetches of a job came to')
    .argument('<id>', 'of the job')
    .argument('[n]', 'of one fetch, from 0: prints the body that it got', toNumber)
    .option('-o, --output <file>', 'where the body of one fetch goes; - for standard output')
    .option('--json', 'as JSON, with bodies up to 64 KiB; with a number, the whole result')
    .addHelpText('after', '\nExamples:\n  cbtor jobs results job_7Kq2\n  cbtor jobs results job_7Kq2 0 >page.html')
    .action(async (id: string, n: number | undefined, flags: ResultsFlags) => {
      if (n !== undefined) {
        const result = await ask(flags, parts, (api, signal) => api.jobResult(id, n, signal))
        if (flags.json) return writeJson(parts.out, result)
        await using sink = await openBodySink(flags.output, parts)
        return await sink.body(bodyOf(result))
      }
      const results = await all(async (cursor) => {
        const query = { limit: PAGE, ...(cursor !== null && { cursor }) }
        const page = await ask(flags, parts, (api, signal) => api.jobResults(id, query, signal))
        return { items: page.results, next: page.next_cursor }
      })
      if (flags.json) writeJson(parts.out, { results })
      else parts.out.write(`${resultTable(results)}\n`)
    })
}

function ofJob(
  parts: ServiceParts,
  name: string,
  description: string,
  order: (api: ApiClient, id: string, signal: AbortSignal) => Promise<JobBody>,
): Command {
  return withService(new Command(name))
    .description(description)
    .argument('<id>', 'of the job')
    .option('--json', 'as JSON')
    .addHelpText('after', `\nExample:\n  cbtor jobs ${name} job_7Kq2`)
    .action(async (id: string, flags: Flags) => {
      const job = await ask(flags, parts, (api, signal) => order(api, id, signal))
      if (flags.json) writeJson(parts.out, job)
      else parts.out.write(`${visible(jobText(job))}\n`)
    })
}

/** Page after page. */
async function all<T>(
  read: (cursor: string | null) => Promise<{ readonly items: readonly T[]; readonly next: string | null }>,
): Promise<T[]> {
  const found: T[] = []
  let cursor: string | null = null
  do {
    const page = await read(cursor)
    found.push(...page.items)
    cursor = page.next
  } while (cursor !== null)
  return found
}

function jobTable(jobs: readonly JobBody[]): string {
  const rows = jobs.map(({ id, name, state, created_at: at, fetches, counts }) => [
    ...[id, name ?? '', state, at.slice(0, 16).replace('T', ' '), String(fetches)],
    ...[counts.done, counts.failed, counts.waiting + counts.running].map(String),
  ])
  return formatTable(['id', 'name', 'state', 'ordered', 'fetches', 'done', 'failed', 'to go'], rows)
}

function jobText(job: JobBody): string {
  const { counts, progress, webhook } = job
  const stages = Object.entries(progress).flatMap(([phase, { waiting, running }]) =>
    waiting + running === 0 ? [] : [`  ${phase}: ${waiting} waiting, ${running} running`],
  )
  return [
    `${job.id}${job.name === null ? '' : ` (${job.name})`} is ${job.state}: ${counts.done} done, ${counts.failed} failed, ${counts.cancelled} cancelled, ${counts.waiting + counts.running} to go`,
    ...stages,
    ...(job.next_try_at === null ? [] : [`  next try: ${job.next_try_at}`]),
    ...(job.ended_at === null ? [`  until: ${job.deadline_at}`] : [`  ended: ${job.ended_at}`]),
    ...(webhook === null
      ? []
      : [
          `  webhook: ${webhook.state}, ${webhook.tries} tries${webhook.outcome === null ? '' : `, last ${webhook.outcome}`}`,
        ]),
  ].join('\n')
}

function resultTable(results: readonly JobResultBody[]): string {
  const rows = results.map(({ n, state, tries, answer, problem, body_bytes: bytes, url }) => [
    ...[String(n), state, String(tries), answer === null ? (problem?.code ?? '') : String(answer.status)],
    ...[answer === null ? '' : String(bytes), url],
  ])
  return formatTable(['n', 'state', 'tries', 'outcome', 'bytes', 'url'], rows)
}

function bodyOf({ n, state, answer, problem }: JobResultBody): Uint8Array {
  const { body = null, body_encoding: encoding } = answer ?? {}
  if (body !== null) return Buffer.from(body, encoding === 'base64' ? 'base64' : 'utf8')
  const why = answer === null ? `it is ${state}${problem ? `: ${problem.detail}` : ''}` : 'it was removed to make room'
  throw new Error(`Cannot show the body of fetch ${n}: ${why}`)
}

function toDuration(text: string): number {
  const ms = parseDuration(text)
  if (ms !== undefined && ms > 0) return ms
  throw new InvalidArgumentError('Expected a duration with its unit, such as 12h or 2d.')
}

function toNumber(text: string): number {
  if (/^\d{1,3}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Expected the number of a fetch, from 0.')
}

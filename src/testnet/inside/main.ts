/**
 * The process that holds the network: in namespace isolation it is process 1 of a pid namespace, so that its end is the
 * end of all. See `../protocol.ts` for what it reads and writes.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { deadline } from '../../lib/abort.ts'
import { systemClock } from '../../lib/clock.ts'
import type { CommandName, CommandParams, CommandResult, Report, Request } from '../protocol.ts'
import { Box } from './box.ts'
import { messageOf } from './daemon.ts'

/** What a machine needs that is busy with other things; an idle one is done in a fifth of that. */
const CREATE_WITHIN_MS = 90_000

/** The path of a unix socket has 107 bytes at most: leave callers the greater part of it. */
const LONGEST_TMPDIR = 40

type Handlers = { [C in CommandName]: (params: CommandParams<C>) => Promise<CommandResult<C>> }

// What is written to an owner that has died is lost, and that is all.
process.stdout.on('error', () => {})

let creating: Promise<Box> | undefined
const ended = new AbortController()
const directory = await mkdtemp(join(tmpdir().length <= LONGEST_TMPDIR ? tmpdir() : '/tmp', 'cbtor-net-'))
report({ type: 'directory', directory })

const handlers: Handlers = {
  async create(shape) {
    if (creating) throw new Error('Cannot create the network: it exists')
    using within = deadline(
      systemClock,
      CREATE_WITHIN_MS,
      ended.signal,
      () => new Error(`the network was not up within ${CREATE_WITHIN_MS} ms`),
    )
    creating = Box.create(
      {
        shape,
        directory,
        clock: systemClock,
        onProgress: (progress) => report({ type: 'progress', progress }),
        onProcesses: (processes) => report({ type: 'processes', processes }),
      },
      within.signal,
    )
    return (await creating).facts
  },
  kill: async ({ name }) => (await running()).kill(name),
  stop: async ({ name }) => (await running()).stop(name),
  resume: async ({ name }) => (await running()).resume(name),
  restart: async ({ name }) => (await running()).restart(name),
  refusePorts: async ({ exit, ports }) => (await running()).refusePorts(exit, ports),
  blackhole: async ({ address, isDark }) => (await running()).blackhole(address, isDark),
  failDns: async ({ fault }) => (await running()).failDns(fault),
  requests: async () => (await running()).requests,
  dnsQueries: async () => (await running()).dnsQueries,
}

const underway = new Set<Promise<void>>()
for await (const line of createInterface(process.stdin)) {
  const answered = answer(JSON.parse(line)).finally(() => underway.delete(answered))
  underway.add(answered)
}

// Nobody wants the network any more: whoever started us has ended, in whatever way.
ended.abort(new Error('the network was closed'))
const box = await creating?.catch(() => undefined)
await box?.[Symbol.asyncDispose]()
await Promise.all(underway)
// Clients of ours may be writing there still.
await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
process.exit(0)

async function answer(request: Request): Promise<void> {
  try {
    report({ type: 'result', id: request.id, result: await obey(request) })
  } catch (error) {
    report({ type: 'failed', id: request.id, message: messageOf(error) })
  }
}

function obey<C extends CommandName>({ command, params }: Request<C>): Promise<CommandResult<C>> {
  return handlers[command](params)
}

async function running(): Promise<Box> {
  if (!creating) throw new Error('There is no network yet')
  return await creating
}

function report(message: Report): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

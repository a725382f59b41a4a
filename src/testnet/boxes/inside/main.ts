/**
 * The process that holds the rack: the main one of a pid namespace in which all boxes live, so that its end is the end of
 * all. See `../protocol.ts` for what it reads and writes.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { deadline } from '../../../lib/abort.ts'
import { systemClock } from '../../../lib/clock.ts'
import { messageOf } from '../../inside/daemon.ts'
import type { CommandName, CommandParams, CommandResult, Report, Request } from '../protocol.ts'
import { Rack } from './rack.ts'

/** A machine that has not built the boxes' programs yet compiles them first. */
const CREATE_WITHIN_MS = 300_000
const CHANGE_WITHIN_MS = 10_000

type Handlers = { [C in CommandName]: (params: CommandParams<C>) => Promise<CommandResult<C>> }

// What is written to an owner that has died is lost, and that is all.
process.stdout.on('error', () => {})

let creating: Promise<Rack> | undefined
let directory: string | undefined
const ended = new AbortController()

const handlers: Handlers = {
  async create(shape) {
    if (creating) throw new Error('Cannot create the rack: it exists')
    await mkdir(shape.directory, { recursive: true })
    directory = await mkdtemp(join(shape.directory, 'cbtor-rack-'))
    report({ type: 'directory', directory })
    using within = limited(CREATE_WITHIN_MS)
    creating = Rack.create(
      {
        shape,
        directory,
        clock: systemClock,
        onProgress: (text) => report({ type: 'progress', text }),
        onPower: (news) => report({ type: 'power', news }),
      },
      within.signal,
    )
    return (await creating).facts
  },
  exec: async ({ n, script, stdin, limitMs }) => (await machine(n)).exec({ text: script, stdin, limitMs }),
  powerOn: async ({ n }) => (await machine(n)).powerOn(),
  powerOff: async ({ n }) => (await machine(n)).powerOff(),
  async waitUp({ n, limitMs, after }) {
    using within = limited(limitMs)
    return { bootId: await (await machine(n)).waitUp(after, within.signal) }
  },
  async plug({ n, isPlugged }) {
    using within = limited(CHANGE_WITHIN_MS)
    await (await running()).wires.plug(n, isPlugged, within.signal)
  },
  async darken({ n, isDark }) {
    using within = limited(CHANGE_WITHIN_MS)
    await (await running()).wires.darken(n, isDark, within.signal)
  },
  async blockRelays({ n, style }) {
    using within = limited(CHANGE_WITHIN_MS)
    await (await running()).wires.blockRelays(n, style, within.signal)
  },
  async blockFeed({ n, isBlocked }) {
    using within = limited(CHANGE_WITHIN_MS)
    await (await running()).wires.blockFeed(n, isBlocked, within.signal)
  },
  snapshot: async ({ n }) => (await machine(n)).snapshot(),
  console: async ({ n }) => (await machine(n)).console,
}

const underway = new Set<Promise<void>>()
for await (const line of createInterface(process.stdin)) {
  const answered = answer(JSON.parse(line)).finally(() => underway.delete(answered))
  underway.add(answered)
}

// Nobody wants the rack any more: whoever started us has ended, in whatever way.
ended.abort(new Error('the rack was closed'))
const rack = await creating?.catch(() => undefined)
await rack?.[Symbol.asyncDispose]()
await Promise.all(underway)
if (directory) await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
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

async function running(): Promise<Rack> {
  if (!creating) throw new Error('There is no rack yet')
  return await creating
}

async function machine(n: number) {
  return (await running()).machine(n)
}

function limited(ms: number) {
  return deadline(systemClock, ms, ended.signal, () => new Error(`it took longer than ${ms} ms`))
}

function report(message: Report): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

import { Command, InvalidArgumentError, Option } from 'commander'
import type { Event, EventsQuery } from '../../client/client.ts'
import { EVENT_TYPES, SEVERITIES } from '../../domain/events.ts'
import { ask } from '../ask.ts'
import { type JsonFlags, type ServiceFlags, withJson, withService } from '../flags.ts'
import { followEvents } from '../follow-events.ts'
import { jsonText, writeJson } from '../json.ts'
import type { ServiceParts } from '../parts.ts'
import { visible } from '../visible.ts'

interface Flags extends ServiceFlags, JsonFlags {
  readonly follow?: true
  readonly type?: readonly Event['type'][]
  readonly severity?: readonly Event['severity'][]
  readonly worker?: string
  readonly sinceId?: number
  readonly limit?: number
}

const SHOWN_BEFORE_FOLLOWING = 10

export function eventsCommand(parts: ServiceParts): Command {
  return withJson(withService(new Command('events')))
    .option('-f, --follow', 'go on with what happens, until Ctrl-C; after a break, from the last event on')
    .addOption(new Option('--type <types...>', 'only events of these types').choices(EVENT_TYPES))
    .addOption(new Option('--severity <severities...>', 'only events of these severities').choices(SEVERITIES))
    .option('--worker <id>', 'only events of this worker, by id or number')
    .option('--since-id <id>', 'only events after the one with this id, the oldest first; 0 for all', toWholeNumber)
    .option(
      '--limit <count>',
      `so many at most, 1 to 1000; 100, before --follow ${SHOWN_BEFORE_FOLLOWING}`,
      toWholeNumber,
    )
    .addHelpText(
      'after',
      '\nWith --follow, --json writes a line for each event. Events that could not be had are told on standard error.\n' +
        '\nExamples:\n  cbtor events --severity error warn\n  cbtor events --follow --worker tor01\n' +
        '  cbtor events --follow --json --since-id 0 >>events.jsonl',
    )
    .action((flags: Flags) => (flags.follow ? follow(flags, parts) : show(flags, parts)))
}

async function show(flags: Flags, parts: ServiceParts): Promise<void> {
  const answer = await ask(flags, parts, (api, signal) => api.events({ ...queryOf(flags), ...limitOf(flags) }, signal))
  if (flags.json) {
    writeJson(parts.out, answer)
    return
  }
  if (answer.lost) parts.err.write(`cbtor: events after ${flags.sinceId} are no longer kept, and are lost\n`)
  for (const event of answer.events) parts.out.write(`${lineOf(event)}\n`)
}

async function follow(flags: Flags, parts: ServiceParts): Promise<void> {
  const { out, err, clock, signal } = parts
  const write = (event: Event) => out.write(`${flags.json ? jsonText(event) : lineOf(event)}\n`)
  const query = queryOf(flags)
  // Also sees whether there is a service at all.
  const before = { ...query, limit: flags.limit ?? SHOWN_BEFORE_FOLLOWING }
  const { events, next_since_id: next } = await ask(flags, parts, (api, until) => api.events(before, until))
  const since = flags.sinceId ?? next
  if (flags.sinceId === undefined) for (const event of events) write(event)
  const api = await parts.connect(flags)
  for await (const news of followEvents({ api, query: { ...query, since_id: since }, clock }, signal)) {
    if (news.type === 'event') write(news.event)
    else err.write(`cbtor: ${news.text}\n`)
  }
}

function queryOf({ type, severity, worker, sinceId }: Flags): EventsQuery {
  return {
    ...(type && { type }),
    ...(severity && { severity }),
    ...(worker !== undefined && { worker }),
    ...(sinceId !== undefined && { since_id: sinceId }),
  }
}

function limitOf({ limit }: Flags): { readonly limit?: number } {
  return limit === undefined ? {} : { limit }
}

/** Times are UTC, as everywhere. */
export function lineOf({ id, at, severity, worker, replica, text }: Event): string {
  const about = `${replica === null ? '' : `at ${replica}: `}${worker === null ? '' : `${worker}: `}`
  return `${at.slice(0, 19)}Z  ${severity.padEnd(5)}  ${id}  ${about}${visible(text).replaceAll('\n', ' ')}`
}

function toWholeNumber(text: string): number {
  if (/^\d{1,16}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Expected a whole number.')
}

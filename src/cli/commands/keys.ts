import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import type { KeyBody } from '../../api/schemas/key.ts'
import { adminKeyFile, resetAdminKey } from '../../auth/admin-key.ts'
import { KeyRing } from '../../auth/key-ring.ts'
import { parseDuration } from '../../config/duration.ts'
import { SCOPES, type Scope } from '../../domain/caller.ts'
import { isoTime } from '../../lib/iso-time.ts'
import { systemRandom } from '../../lib/random.ts'
import { SqliteStore } from '../../store/sqlite-store.ts'
import { ask } from '../ask.ts'
import { type JsonFlags, type ServiceFlags, type StateFlags, withService, withState } from '../flags.ts'
import { writeJson } from '../json.ts'
import type { ServiceParts } from '../parts.ts'
import { stateOf } from '../state-directory.ts'
import { formatTable } from '../table.ts'
import { visible } from '../visible.ts'

interface CreateFlags extends ServiceFlags, JsonFlags {
  readonly scope: readonly Scope[]
  readonly expires?: number
  readonly rate?: number
  readonly burst?: number
  readonly concurrent?: number
  readonly bytesPerDay?: number
  readonly allow?: readonly string[]
  readonly deny?: readonly string[]
}

/** A hundred years: what is longer is not meant, and has no date. */
const LONGEST_MS = 36_525 * 24 * 60 * 60 * 1_000

type ListFlags = ServiceFlags & JsonFlags

export function keysCommand(parts: ServiceParts): Command {
  return new Command('keys')
    .addCommand(createCommand(parts))
    .addCommand(listCommand(parts))
    .addCommand(revokeCommand(parts))
    .addCommand(resetAdminCommand(parts))
    .addHelpText(
      'after',
      '\nA key is for the API, as "Authorization: Bearer KEY", and the password of the proxy ports.\n' +
        '\nExamples:\n  cbtor keys create crawler --scope fetch proxy\n  cbtor keys list',
    )
}

function createCommand(parts: ServiceParts): Command {
  return withService(new Command('create'))
    .description('make a key and print it, this once')
    .argument('<name>', 'for people: what it is used for')
    .requiredOption('--scope <scopes...>', `what it may be used for: ${SCOPES.join(', ')}`, toScopes)
    .option('--expires <duration>', 'how long it lasts, such as 12h or 30d (default: for ever)', toDuration)
    .option('--rate <requests>', 'requests per second in the long run', toNumber)
    .option('--burst <requests>', 'requests at once', toNumber)
    .option('--concurrent <requests>', 'requests and opening tunnels at the same time', toNumber)
    .option('--bytes-per-day <bytes>', 'bytes to and from targets', toNumber)
    .option('--allow <rules...>', 'nothing but these targets: networks, hosts with all names below them, :PORT')
    .option('--deny <rules...>', 'not these targets, whatever allows them')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nThe key alone goes to standard output, what is said of it to standard error.\n' +
        '\nExamples:\n  cbtor keys create crawler --scope fetch proxy\n' +
        '  cbtor keys create guest --scope proxy --expires 12h --rate 2 --allow example.com :443',
    )
    .action((name: string, flags: CreateFlags) => create(name, flags, parts))
}

async function create(name: string, flags: CreateFlags, parts: ServiceParts): Promise<void> {
  const { out, err, clock } = parts
  const { scope: scopes, expires, rate, burst, concurrent, bytesPerDay, allow, deny } = flags
  const limits = {
    ...(rate !== undefined && { rate }),
    ...(burst !== undefined && { burst }),
    ...(concurrent !== undefined && { concurrent }),
    ...(bytesPerDay !== undefined && { bytes_per_day: bytesPerDay }),
  }
  const order = {
    ...{ name, limits, scopes: [...scopes] },
    targets: { ...(allow && { allow: [...allow] }), ...(deny && { deny: [...deny] }) },
    ...(expires !== undefined && { expires_at: isoTime(clock.now() + expires) }),
  }
  const made = await ask(flags, parts, (api, signal) => api.createKey(order, signal))
  if (flags.json) return writeJson(out, made)
  const until = made.expires_at === null ? '' : `, until ${made.expires_at}`
  err.write(`The key ${made.id} (${made.name}) is for ${made.scopes.join(', ')}${until}. It is shown this once:\n`)
  out.write(`${made.key}\n`)
}

function listCommand(parts: ServiceParts): Command {
  return withService(new Command('list'))
    .description('show the keys, without their secrets')
    .addHelpText('after', '\nExample:\n  cbtor keys list')
    .option('--json', 'as JSON')
    .action(async (flags: ListFlags) => {
      const answer = await ask(flags, parts, (api, signal) => api.keys(signal))
      if (flags.json) writeJson(parts.out, answer)
      else parts.out.write(`${table(answer.keys, parts.clock.now())}\n`)
    })
}

function table(keys: readonly KeyBody[], now: number): string {
  const hour = (at: string | null, otherwise: string) =>
    at === null ? otherwise : `${at.slice(0, 13).replace('T', ' ')}h`
  const rows = keys.map((key) => [
    key.id,
    key.name,
    key.scopes.join(' '),
    hour(key.created_at, ''),
    key.expires_at !== null && key.expires_at <= isoTime(now) ? 'expired' : hour(key.expires_at, 'never'),
    hour(key.last_used_at, 'never'),
    limitsOf(key),
  ])
  return formatTable(['id', 'name', 'scopes', 'made', 'expires', 'last used', 'limits'], rows)
}

function limitsOf({ limits, targets }: KeyBody): string {
  const { rate, burst, concurrent, bytes_per_day: bytes } = limits
  return [
    ...(rate === null ? [] : [`${rate}/s`]),
    ...(burst === null ? [] : [`burst ${burst}`]),
    ...(concurrent === null ? [] : [`${concurrent} at a time`]),
    ...(bytes === null ? [] : [`${bytes} bytes a day`]),
    ...(targets.allow.length === 0 ? [] : [`only ${targets.allow.join(' ')}`]),
    ...(targets.deny.length === 0 ? [] : [`not ${targets.deny.join(' ')}`]),
  ].join(', ')
}

function revokeCommand(parts: ServiceParts): Command {
  return withService(new Command('revoke'))
    .description('end a key at once, with everything that goes on in its name')
    .argument('<id>', 'its id, which is the key between its first and second "_"')
    .addHelpText('after', '\nExample:\n  cbtor keys revoke 7Kq2')
    .option('--json', 'as JSON')
    .action(async (id: string, flags: ListFlags) => {
      const revoked = await ask(flags, parts, (api, signal) => api.revokeKey(id, signal))
      if (flags.json) writeJson(parts.out, revoked)
      else parts.out.write(`${visible(`${id} (${revoked.name})`)} is revoked.\n`)
    })
}

/** For somebody who has the state directory and no key: the store is locked by a service that runs. */
function resetAdminCommand(parts: ServiceParts): Command {
  return withState(new Command('reset-admin'))
    .description('make another admin key, and revoke the one that was there; of a service that is stopped')
    .addHelpText(
      'after',
      '\nFor when admin.key in the state directory is lost, or somebody else has seen it. The key alone goes to standard output.\n' +
        '\nExample:\n  cbtor keys reset-admin --state /var/lib/cbtor >/dev/null',
    )
    .action((flags: StateFlags) => {
      const state = stateOf(flags, parts)
      const database = join(state, 'cbtor.db')
      if (!existsSync(database))
        throw new Error(`Cannot reset the admin key: no service has run in ${state}; its first start makes the key`)
      using store = new SqliteStore(database)
      using ring = new KeyRing({ store, clock: parts.clock, random: systemRandom })
      const file = adminKeyFile(state)
      const text = resetAdminKey(ring, file)
      parts.err.write(`The admin key is another one from now on. It is kept in ${file}:\n`)
      parts.out.write(`${text}\n`)
      if (existsSync(join(state, 'unsent.db')))
        parts.err.write(
          'This gateway has shared a store with others. While it does, their keys hold and this one is of no use: see docs/operations.md, "The shared store"\n',
        )
    })
}

function toScopes(text: string, before: readonly Scope[] | undefined): readonly Scope[] {
  const named = text.split(',')
  const unknown = named.find((each) => !SCOPES.some((scope) => scope === each))
  if (unknown !== undefined) throw new InvalidArgumentError(`Expected some of ${SCOPES.join(', ')}.`)
  return [...new Set([...(before ?? []), ...(named as Scope[])])]
}

function toDuration(text: string): number {
  const ms = parseDuration(text)
  if (ms !== undefined && ms > 0 && ms <= LONGEST_MS) return ms
  throw new InvalidArgumentError('Expected a duration with its unit, such as 12h or 30d.')
}

function toNumber(text: string): number {
  const number = Number(text)
  if (/^\d+(?:\.\d+)?$/.test(text)) return number
  throw new InvalidArgumentError('Expected a number.')
}

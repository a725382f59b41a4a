import { Command, Option } from 'commander'
import type { ApiClient } from '../../client/client.ts'
import { readConfig } from '../../config/read-config.ts'
import { urlOf } from '../../doctor/service-address.ts'
import { SCOPES, type Scope } from '../../domain/caller.ts'
import { isoTime } from '../../lib/iso-time.ts'
import { ask } from '../ask.ts'
import { type JsonFlags, type ServiceFlags, withJson, withService } from '../flags.ts'
import { writeJson } from '../json.ts'
import type { ServiceParts } from '../parts.ts'
import { configFlags } from '../state-directory.ts'

interface DashboardFlags extends ServiceFlags, JsonFlags {
  readonly scope: readonly Scope[]
  readonly url?: string
  readonly link?: true
}

/** All that the page can do but seeing the targets of others and making keys. */
const OPERATOR: readonly Scope[] = ['workers:read', 'workers:write', 'sessions', 'fetch']
const KEY_NAME = 'dashboard'
/** A day's work. */
const KEY_MS = 12 * 60 * 60 * 1_000

export function dashboardCommand(parts: ServiceParts): Command {
  return withJson(withService(new Command('dashboard')))
    .description('make a key that is good for 12 hours, and print it with the address of the page, which asks for it')
    .addOption(new Option('--scope <scopes...>', 'what it may be used for').choices(SCOPES).default(OPERATOR))
    .option('--url <url>', 'what a browser calls the service, if it is behind a proxy: https://cbtor.example')
    .option('--link', 'print one address that has the key in it, behind the "#", which no browser sends')
    .addHelpText(
      'after',
      '\nThe page keeps the key for its tab alone. A browser keeps an address that was opened by --link in its history, with the\n' +
        'key, until that expires, but for private windows; and a command that opens it shows it in the list of processes.\n' +
        'The address and the key go to standard output, a line each, what is said of them to standard error.\n' +
        '\nExamples:\n  cbtor dashboard\n' +
        '  cbtor dashboard --scope workers:read          # to look, and nothing else\n' +
        '  cbtor dashboard --url https://cbtor.example\n' +
        '  chromium --incognito "$(cbtor dashboard --link)"',
    )
    .action((flags: DashboardFlags) => showDashboard(flags, parts))
}

async function showDashboard(flags: DashboardFlags, parts: ServiceParts): Promise<void> {
  const { out, err, clock } = parts
  const page = pageUrl(flags, parts)
  const { auth } = await ask(flags, parts, (api, signal) => api.whoami(signal))
  if (auth === 'off') {
    if (flags.json) return writeJson(out, { url: page, key: null })
    err.write('The service asks nobody for a key. Open:\n')
    out.write(`${page}\n`)
    return
  }
  const order = { name: KEY_NAME, scopes: [...flags.scope], expires_at: isoTime(clock.now() + KEY_MS) }
  const { key: text, ...key } = await ask(flags, parts, async (api, signal) => {
    await forgetExpired(api, isoTime(clock.now()), signal)
    return await api.createKey(order, signal)
  })
  const isFor = `is for ${key.scopes.join(', ')}, until ${key.expires_at}`
  if (flags.link) {
    const url = `${page}#key=${text}`
    if (flags.json) return writeJson(out, { url, key })
    err.write(`The key ${key.id} in it ${isFor}. Open:\n`)
    out.write(`${url}\n`)
    return
  }
  if (flags.json) return writeJson(out, { url: page, key: { ...key, key: text } })
  err.write(`The key ${key.id} ${isFor}. Open the address, and paste the key there:\n`)
  out.write(`${page}\n${text}\n`)
}

/** The keys that were made here on other days, which nobody can use any more and would fill the list. */
async function forgetExpired(api: ApiClient, now: string, signal: AbortSignal): Promise<void> {
  const { keys } = await api.keys(signal)
  for (const { id, name, expires_at: expiresAt } of keys)
    if (name === KEY_NAME && expiresAt !== null && expiresAt <= now) await api.revokeKey(id, signal)
}

/** Where a browser finds the page. Throws when it could not get there. */
function pageUrl({ url, ...flags }: DashboardFlags, { env }: Pick<ServiceParts, 'env'>): string {
  const base = url ?? flags.api ?? urlOf(readConfig(configFlags(flags), env))
  if (base === undefined) throw new Error('Cannot find the service: it may listen on any port; say where: --api')
  const { protocol, origin } = URL.parse(base) ?? { protocol: '', origin: '' }
  if (protocol === 'http:' || protocol === 'https:') return `${origin}/`
  if (!base.startsWith('unix:')) throw new Error(`Cannot make an address of "${base}": expected http:// or https://`)
  throw new Error(
    `Cannot print an address: the service listens on a unix socket (${base.slice('unix:'.length)}), which no browser opens; say what a proxy in front of it is called: --url https://cbtor.example`,
  )
}

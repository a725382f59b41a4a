/** The table of fields in `docs/configuration.md`, made of the schema as it is. */
import { configFields } from '../../src/config/fields.ts'
import { appliesLive } from '../../src/service-reload.ts'

export const CONFIG_PAGE = 'docs/configuration.md'

const [START, END] = ['<!-- fields -->', '<!-- end of fields -->']
/** Of fields whose default is no value that could be written. */
const DEFAULTS: Readonly<Record<string, string>> = {
  workers: '`tor01` to `tor04`',
  state: '`$XDG_STATE_HOME/cbtor`',
  'cluster.replica': 'of the host name',
  'cluster.secret_file': '`STATE/pool-secret`',
  'cluster.ca_file': "the system's",
  'cluster.worker_port': '`off`',
  'cluster.advertise': 'as `worker_port`',
  'proxy.http': '`127.0.0.1:8118`',
  'proxy.socks': '`127.0.0.1:1080`',
  'proxy.both': '`off`',
  'proxy.auth': 'as `auth`',
  'limits.burst': '5 s of `rate`',
  'limits.concurrent': 'half the pool',
  'checks.onion': 'six test sites',
  politeness: 'the fields below',
}

/** The page with its table made anew. */
export function configPageOf(page: string): string {
  const [before = '', rest = ''] = page.split(START)
  const [, after = ''] = rest.split(END)
  return `${before}${START}\n${fieldTable()}\n${END}${after}`
}

function fieldTable(): string {
  const rows = configFields().flatMap(({ name, kind, schema }) => {
    if (kind === 'section') return []
    const said = schema.default === undefined ? 'none' : `\`${shown(schema.default)}\``
    const is = (schema.description ?? '').replaceAll('|', '\\|')
    return [`| \`${name}\` | ${DEFAULTS[name] ?? said} | ${appliesLive(name) ? 'at once' : 'restart'} | ${is} |`]
  })
  return ['| field | default | a reload | is |', '|---|---|---|---|', ...rows].join('\n')
}

function shown(value: unknown): string {
  return Array.isArray(value) ? `[${value.join(', ')}]` : String(value)
}

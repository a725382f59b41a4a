import type { Isolation } from '../../../../src/domain/identity.ts'
import type { Mode } from '../../api/bodies.ts'

/** What stands in the fields, as it was written. What is empty is left out of the order. */
export interface TryForm {
  readonly url: string
  readonly method: string
  readonly mode: Mode | ''
  readonly stickyKey: string
  readonly country: string
  readonly isolation: Isolation | ''
  readonly worker: string
  /** `Name: value`, a line each. */
  readonly headers: string
  readonly body: string
  readonly timeoutS: string
}

export const EMPTY_FORM: TryForm = {
  ...{ url: '', method: 'GET', mode: '', stickyKey: '', country: '', isolation: '', worker: '' },
  ...{ headers: '', body: '', timeoutS: '60' },
}

/** The body of `POST /api/v1/fetch`. */
export type Order = Readonly<Record<string, unknown>> & { readonly url: string }

/** The largest body that the page takes: more is for programs. */
export const MAX_BYTES = 2_000_000

/** Throws an error with a sentence when a line is no header. What else may be wrong, the service says, field by field. */
export function orderOf(form: TryForm): Order {
  const { url, method, mode, stickyKey, country, isolation, worker, body, timeoutS } = form
  const headers = headersOf(form.headers)
  return {
    url: url.trim(),
    ...(method !== 'GET' && { method }),
    ...(headers !== undefined && { headers }),
    ...(body !== '' && { body }),
    ...(mode !== '' && { mode }),
    ...(stickyKey !== '' && { sticky_key: stickyKey }),
    ...(country !== '' && { country: country.trim().toLowerCase() }),
    ...(isolation !== '' && { isolation }),
    ...(worker !== '' && { worker }),
    ...(timeoutS !== '' && { timeout_ms: Math.round(Number(timeoutS) * 1_000) }),
    ...{ circuit_path: true, max_bytes: MAX_BYTES, allow_truncated: true },
  }
}

function headersOf(text: string): Readonly<Record<string, string | readonly string[]>> | undefined {
  const headers = new Map<string, string | string[]>()
  for (const line of text.split('\n').filter((each) => each.trim() !== '')) {
    const [, name, value] = /^([^\s:]+)\s*:\s*(.*)$/.exec(line.trim()) ?? []
    if (name === undefined || value === undefined) {
      throw new Error(
        `Cannot send the header "${line.trim()}": a line is a name, a colon and a value, such as Accept: text/html.`,
      )
    }
    const earlier = headers.get(name)
    headers.set(name, earlier === undefined ? value : [earlier, value].flat())
  }
  return headers.size === 0 ? undefined : Object.fromEntries(headers)
}

/** The field of the form that a field of the order comes from. */
export function fieldOf(path: string): keyof TryForm | undefined {
  const [field = ''] = path.split('/')
  const renamed: Readonly<Record<string, keyof TryForm>> = { sticky_key: 'stickyKey', timeout_ms: 'timeoutS' }
  return renamed[field] ?? (field in EMPTY_FORM ? (field as keyof TryForm) : undefined)
}

/** The same by curl, in a POSIX shell. The key stays in a variable, so that it is in no history of commands. */
export function curlOf(order: Order, origin: string, asksForKey: boolean): string {
  const lines = [
    `curl -s ${quoted(`${origin}/api/v1/fetch`)}`,
    ...(asksForKey ? ['-H "Authorization: Bearer $KEY"'] : []),
    `-H 'content-type: application/json'`,
    `-d ${quoted(JSON.stringify(order))}`,
  ]
  return lines.join(' \\\n  ')
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

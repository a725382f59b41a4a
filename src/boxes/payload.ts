import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { UciSection, UciValue } from './uci-text.ts'

/** What is put on a box, as it lies in `openwrt/`: its manifest, README and files say what each is for. */
export interface Payload {
  /** The payload's own version and, after a plus, the beginning of a hash of all of it. */
  readonly version: string
  readonly files: readonly PayloadFile[]
  /** By the name of the file in /etc/config. */
  readonly uci: ReadonlyMap<string, UciPart>
  /** Lines of root's crontab. */
  readonly crontab: readonly string[]
  /** Lines of /etc/sysupgrade.conf: what is to survive an upgrade of the firmware. */
  readonly keep: readonly string[]
}

export interface PayloadFile {
  /** On the box. */
  readonly path: string
  readonly mode: number
  /** One character a byte. */
  readonly text: string
  /** The operator may change it. */
  readonly isSettings: boolean
}

export interface UciPart {
  /** Sections that are ours altogether. */
  readonly sections: readonly UciSection[]
  /** Items of ours in the lists of sections that are not. */
  readonly listed: readonly ListedValue[]
}

export interface ListedValue {
  readonly section: string
  readonly key: string
  readonly value: string
}

/** What differs from box to box. */
export interface PayloadValues {
  readonly tunnel: number
  readonly boxPrivateKey: string
  readonly hostPublicKey: string
  readonly hostAddress: string
  readonly hostPort: number
}

const DIRECTORY = fileURLToPath(new URL('../../openwrt/', import.meta.url))
const SETTINGS: ReadonlySet<string> = new Set(['/etc/cbtor/health.conf', '/etc/tor/onion-test-sites.txt'])
const UCI_CONFIGS = ['network', 'firewall', 'tor'] as const

/** Throws an `Error` that names the file when the payload is not whole: a fault of this installation of CBTOR. */
export function readPayload(values: PayloadValues, directory = DIRECTORY): Payload {
  const hash = createHash('sha256')
  const read = (name: string) => {
    const bytes = readFileSync(join(directory, name))
    hash.update(`${name} ${bytes.length}\n`).update(bytes)
    return bytes.toString('latin1')
  }
  const fill = (text: string, name: string) => fillIn(text, values, name)
  const number = read('VERSION').trim()
  const files = linesOf(read('manifest')).map((line) => {
    const [mode = '', source = '', path = ''] = line.split(/\s+/)
    return { path, mode: Number.parseInt(mode, 8), text: fill(read(source), source), isSettings: SETTINGS.has(path) }
  })
  const uci = new Map(
    UCI_CONFIGS.map((config) => [config, parseUciBatch(config, fill(read(`${config}.uci`), `${config}.uci`))] as const),
  )
  const [crontab, keep] = [linesOf(read('crontab')), linesOf(read('sysupgrade.conf'))]
  return { version: `${number}+${hash.digest('hex').slice(0, 8)}`, files, uci, crontab, keep }
}

/** Of `uci batch` commands, what is so once they have run: `delete` and `commit` say nothing more. */
export function parseUciBatch(config: string, text: string): UciPart {
  const sections = new Map<string, { type: string; options: Map<string, UciValue> }>()
  const listed: ListedValue[] = []
  for (const line of linesOf(text)) {
    const found =
      /^(set|add_list|delete|del_list|commit) (?:([\w-]+)\.([\w-]+)(?:\.([\w-]+))?(?:='([^']*)')?|[\w-]+)$/.exec(line)
    if (!found || (found[2] ?? config) !== config) throw new Error(`Cannot use ${config}.uci of the payload: ${line}`)
    const [, verb, , name = '', key, value = ''] = found
    const section = sections.get(name)
    if (verb === 'set' && key === undefined) sections.set(name, { type: value, options: new Map() })
    else if (verb === 'set' && key !== undefined && section) section.options.set(key, value)
    else if (verb === 'add_list' && key !== undefined) {
      if (!section) listed.push({ section: name, key, value })
      else section.options.set(key, [...(section.options.get(key) ?? []), value])
    } else if (verb === 'set') throw new Error(`Cannot use ${config}.uci of the payload: ${line}`)
  }
  return { sections: [...sections].map(([name, { type, options }]) => ({ name, type, options })), listed }
}

/** Replaces each `@NAME@`. Throws when one is not known: better than a box that has it in its configuration. */
function fillIn(text: string, values: PayloadValues, name: string): string {
  const known: Readonly<Record<string, string>> = {
    TUNNEL: String(values.tunnel),
    BOX_PRIVATE_KEY: values.boxPrivateKey,
    HOST_PUBLIC_KEY: values.hostPublicKey,
    HOST_ADDRESS: values.hostAddress,
    HOST_PORT: String(values.hostPort),
  }
  return text.replace(/@([A-Z_]+)@/g, (whole, key: string) => {
    const value = known[key]
    if (value === undefined) throw new Error(`Cannot fill in ${name} of the payload: ${whole} is not known`)
    return value
  })
}

function linesOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'))
}

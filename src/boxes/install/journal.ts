import { z } from 'zod'
import { type BoxShell, FileChangedError, type RemoteFile } from '../remote/box-shell.ts'
import { InstallError } from './install-error.ts'

/**
 * What an installation changed on a box, kept on the box itself: with it, any CBTOR can go on with an installation that was cut
 * off, and take it away again. Written before a change is made, so that nothing is ever changed that is not in it.
 */
export const JOURNAL_FILE = '/etc/cbtor/install.json'
/** Copies of files as they were before CBTOR came, each under its own path. */
export const ORIGINALS = '/etc/cbtor/backup'
/** Copies of files as they were before the run that is under way. */
export const BEFORE_RUN = '/etc/cbtor/before'

/** How to take our part out of a file that somebody else changed after us. */
const part = z.discriminatedUnion('kind', [
  /** The file is ours. */
  z.strictObject({ kind: z.literal('file') }),
  z.strictObject({ kind: z.literal('lines'), lines: z.array(z.string()) }),
  z.strictObject({
    kind: z.literal('uci'),
    sections: z.array(z.string()),
    listed: z.array(z.strictObject({ section: z.string(), key: z.string(), value: z.string() })),
  }),
  /** Users or groups: the package of Tor adds one, and does not take it away. */
  z.strictObject({ kind: z.literal('user'), name: z.string() }),
])

const fileEntry = z.strictObject({
  path: z.string(),
  /** sha256 of what was there before us; null: nothing. */
  original: z.string().nullable(),
  /** sha256 of what we left there; null: not known yet. */
  left: z.string().nullable(),
  /** Somebody changed it between two of our changes, so what was there before us must not come back as a whole. */
  mixed: z.boolean(),
  part,
})

const ledger = z.strictObject({
  /** In the order of the changes. */
  files: z.array(fileEntry),
  /** Directories that we made, parents first. */
  directories: z.array(z.string()),
  /** Names of the packages that came with us. `before`: those that were there, until `added` is known. */
  packages: z.strictObject({ before: z.array(z.string()).optional(), added: z.array(z.string()) }).optional(),
  /** Services that we enabled, and did not find enabled. */
  enabled: z.array(z.enum(['cron', 'tor'])),
})

const identity = z.strictObject({
  payload: z.string(),
  id: z.string(),
  n: z.int(),
  /** WireGuard key of the gateway that the box works for. */
  host_key: z.string(),
})

const services = z.enum(['network', 'firewall', 'tor', 'cron'])

const journalSchema = z.strictObject({
  version: z.literal(1),
  state: z.enum(['installing', 'installed', 'uninstalling']),
  /** What is being installed, or is. */
  now: identity,
  /** What was there before the run that is under way, if anything. */
  previous: identity.optional(),
  original: ledger,
  /** Of the run that is under way, when it changes an installation that was complete; `saved` is `original` as it was then. */
  run: ledger.optional(),
  saved: ledger.optional(),
  /** Services that have not taken up a change yet. */
  pending: z.array(services),
})

export type Journal = z.output<typeof journalSchema>
export type Ledger = z.output<typeof ledger>
export type FileEntry = z.output<typeof fileEntry>
export type FilePart = z.output<typeof part>
export type InstalledIdentity = z.output<typeof identity>
export type ReloadedService = z.output<typeof services>

export function emptyLedger(): Ledger {
  return { files: [], directories: [], enabled: [] }
}

/** The box's journal, or undefined if nothing was ever installed. Rejects with `InstallError` when it cannot be used. */
export async function readJournal(box: BoxShell): Promise<{ journal: Journal; file: RemoteFile } | undefined> {
  const file = await box.read(JOURNAL_FILE)
  if (!file) return undefined
  const result = journalSchema.safeParse(jsonOf(file.text))
  if (result.success) return { journal: result.data, file }
  throw new InstallError(
    `Cannot use the journal ${JOURNAL_FILE} of the box: it was written by another version or is damaged (${result.error.issues
      .map(({ path, message }) => `${path.join('.')}: ${message}`)
      .slice(0, 3)
      .join('; ')}). Use the version that installed it`,
  )
}

/** Somebody else's installation has changed the journal. */
export class OvertakenError extends Error {
  override readonly name = 'OvertakenError'

  constructor(options: ErrorOptions) {
    super('Another installation or uninstallation of the box began meanwhile', options)
  }
}

/** The journal of one run: what is noted is on the box before anything else happens. */
export class JournalKeeper {
  readonly #box: BoxShell
  #file: RemoteFile | undefined
  #journal: Journal

  /** `file`: the journal as it is on the box, if it is there. */
  constructor(box: BoxShell, journal: Journal, file: RemoteFile | undefined) {
    this.#box = box
    this.#journal = journal
    this.#file = file
  }

  get journal(): Journal {
    return this.#journal
  }

  /** Writes the journal if `change` changed it, or if it is not on the box yet. Rejects with `OvertakenError`, or as `write` does. */
  async note(change: (journal: Journal) => void): Promise<void> {
    const changed = structuredClone(this.#journal)
    change(changed)
    // As it will be read, in the order of the schema.
    const next = journalSchema.parse(changed)
    const text = `${JSON.stringify(next, null, 1)}\n`
    if (text !== this.#file?.text) {
      const write = { path: JOURNAL_FILE, text, mode: 0o600, from: this.#file, copies: [] }
      this.#file = await this.#box.write(write).catch((error: unknown) => {
        throw error instanceof FileChangedError ? new OvertakenError({ cause: error }) : error
      })
    }
    this.#journal = next
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

import { relative } from 'node:path'
import { type Finding, ok, unchecked, wrong } from './finding.ts'

export interface FileSeen {
  /** Absolute. */
  readonly path: string
  readonly kind: 'directory' | 'file' | 'socket' | 'link' | 'other'
  /** The nine permission bits. */
  readonly mode: number
  readonly uid: number
}

/** What is in a state directory: keys, cookies, the pool's secret, sockets that give whoever reaches them full power. */
export interface StateSeen {
  readonly directory: string
  /** The directory itself first, then what is in it, however deep; empty when it is not there. */
  readonly files: readonly FileSeen[]
  /** What could not be looked at, and why. */
  readonly unreadable: readonly string[]
}

/** Whoever reads one of these can pose as us, knows what identities come from, or what callers have sent and got. */
const SECRETS = [
  /^(?:cbtor|jobs)\.db(?:-\w+)?$/,
  /^admin\.key$/,
  /^pool-secret$/,
  /^ssh\/(?!.*\.pub$)/,
  /^boxes\/[^/]+\.json$/,
  /^workers\/[^/]+\/cookie$/,
  /^workers\/[^/]+\/data\/keys\//,
]

/** So many are named; the rest are counted. */
const NAMED = 5

/** `owner`: who the files are to be of: the user that the service runs as, or the one who asks. Undefined when nobody knows. */
export function judgeState({ directory, files, unreadable }: StateSeen, owner: number | undefined): readonly Finding[] {
  const name = 'state directory'
  const [root, ...inside] = files
  if (root === undefined)
    return unreadable.length > 0
      ? [unchecked(name, `${unreadable.join('; ')}`, 'Run this as the user who runs the service, or as root')]
      : [ok(name, `${directory} is not there yet: the service makes it at its first start`)]
  if (root.kind !== 'directory')
    return [wrong(name, `${directory} is no directory`, 'Write another one into "state" of the configuration')]

  const found: Finding[] = []
  if (root.mode & 0o077)
    found.push(wrong(name, `${directory} has mode ${octal(root)}, so others may get in`, `chmod 700 ${directory}`))
  const ofOthers = owner === undefined ? [] : files.filter(({ uid }) => uid !== owner)
  if (ofOthers.length > 0)
    found.push(
      wrong(
        name,
        `${shown(directory, ofOthers)} ${ofOthers.length === 1 ? 'is' : 'are'} of another user than ${owner}, whom the service runs as`,
        `chown -R ${owner} ${directory}`,
      ),
    )
  const open = inside.filter((file) => isSecret(directory, file) && (file.mode & 0o077) !== 0)
  if (open.length > 0)
    found.push(
      wrong(
        'secrets',
        `others may read ${shown(directory, open)} when they get into the directory`,
        `chmod 600 ${open.map(({ path }) => path).join(' ')}`,
      ),
    )
  // Sockets come with any mode; what keeps others out is the directory that they are in.
  const workers = inside.filter(
    ({ path, kind, mode }) => kind === 'directory' && isWorker(directory, path) && mode & 0o077,
  )
  if (workers.length > 0)
    found.push(
      wrong(
        'secrets',
        `others may get at the sockets in ${shown(directory, workers)} when they get into the directory`,
        `chmod 700 ${workers.map(({ path }) => path).join(' ')}`,
      ),
    )
  if (unreadable.length > 0)
    found.push(unchecked(name, unreadable.join('; '), 'Run this as the user who runs the service, or as root'))
  return found.length > 0 ? found : [ok(name, `${directory}, of user ${root.uid} alone`)]
}

function isSecret(directory: string, { path, kind }: FileSeen): boolean {
  const name = relative(directory, path)
  return kind === 'file' && SECRETS.some((pattern) => pattern.test(name))
}

function isWorker(directory: string, path: string): boolean {
  return /^workers\/[^/]+$/.test(relative(directory, path))
}

function shown(directory: string, files: readonly FileSeen[]): string {
  const names = files.slice(0, NAMED).map(({ path }) => relative(directory, path) || directory)
  const rest = files.length - names.length
  return names.join(', ') + (rest > 0 ? ` and ${rest} more` : '')
}

function octal({ mode }: FileSeen): string {
  return mode.toString(8).padStart(3, '0')
}

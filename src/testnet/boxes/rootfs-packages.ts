/**
 * The feed of packages for the test boxes: `packages/Packages.gz` and `*.ipk` for opkg, `packages/packages.adb` and `*.apk`
 * for apk. A package is a tar.gz of `./control.tar.gz` and `./data.tar.gz`, whatever its name ends in, and both indexes are
 * the text that opkg has.
 */
import { createHash } from 'node:crypto'
import { access, chmod, copyFile, cp, link, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { run } from '../inside/run.ts'
import { findProgram, librariesOf } from './rootfs-programs.ts'

/** By package: the program of this machine that is in it, and where it goes. */
const PROGRAMS: Readonly<Record<string, { readonly name: string; readonly path: string }>> = {
  tor: { name: 'tor', path: '/usr/sbin/tor' },
  'wireguard-tools': { name: 'wg', path: '/usr/bin/wg' },
  'kmod-wireguard': { name: 'wireguard-go', path: '/usr/sbin/wireguard-go' },
  curl: { name: 'curl', path: '/usr/bin/curl' },
}

/** The programs that this makes packages of. */
export const PACKAGED: readonly string[] = Object.values(PROGRAMS).map(({ name }) => name)

export interface FeedOptions {
  /** A folder for each package: `control`, perhaps `conffiles` and a tree `files`. */
  readonly sources: string
  readonly feed: string
  /** The libraries that are in it need no package. */
  readonly base: string
  /** For what is needed in between; the caller removes it. */
  readonly work: string
}

interface Package {
  readonly name: string
  /** The lines of its control file, as far as they are not reckoned here. */
  readonly control: string
  readonly version: string
  /** From a path of this machine to one in the box. */
  readonly files: ReadonlyMap<string, string>
}

export async function writeFeed(options: FeedOptions, signal: AbortSignal): Promise<void> {
  const { sources, feed, base } = options
  const packages = [...(await programPackages(sources, signal)), ...(await libraryPackages(base, signal))]
  await mkdir(join(feed, 'packages'), { recursive: true })
  const stanzas: string[] = []
  for (const one of packages) stanzas.push(await writePackage(one, options, signal))
  const index = `${stanzas.join('\n')}\n`
  await writeFile(join(feed, 'packages/Packages'), index)
  await writeFile(join(feed, 'packages/Packages.gz'), await promisify(gzip)(index))
  await writeFile(join(feed, 'packages/packages.adb'), index)
}

async function programPackages(sources: string, signal: AbortSignal): Promise<Package[]> {
  const packages: Package[] = []
  for (const [name, program] of Object.entries(PROGRAMS)) {
    const path = await findProgram(program.name, signal)
    const [version = '1'] = /\d+(?:\.\d+)+/.exec(await run([path, '--version'], '', signal)) ?? []
    const control = await readFile(join(sources, name, 'control'), 'utf8')
    packages.push({ name, control: control.trim(), version, files: new Map([[path, program.path]]) })
  }
  return packages
}

/** What tor and curl need and the base does not have: what both need, and what one of them does. */
async function libraryPackages(base: string, signal: AbortSignal): Promise<Package[]> {
  const needs = async (program: string): Promise<string[]> => {
    const needed: string[] = []
    for (const library of await librariesOf(await findProgram(program, signal), signal)) {
      if (!(await exists(join(base, library)))) needed.push(library)
    }
    return needed
  }
  const [tor, curl] = [await needs('tor'), await needs('curl')]
  const packages = {
    libopenssl3: tor.filter((library) => curl.includes(library)),
    'libevent2-7': tor.filter((library) => !curl.includes(library)),
    libcurl4: curl.filter((library) => !tor.includes(library)),
  }
  return Object.entries(packages).map(([name, libraries]) => ({
    name,
    control: `Package: ${name}\nDepends:\nDescription: Shared libraries`,
    version: '1',
    files: new Map(libraries.map((library) => [library, library])),
  }))
}

/** Writes a package for both package managers and returns its stanza of the index. */
async function writePackage(one: Package, options: FeedOptions, signal: AbortSignal): Promise<string> {
  const work = join(options.work, one.name)
  const [data, control, whole] = [join(work, 'data'), join(work, 'control'), join(work, 'whole')]
  for (const directory of [data, control, whole]) await mkdir(directory, { recursive: true })

  const source = join(options.sources, one.name)
  if (await exists(join(source, 'files'))) await cp(join(source, 'files'), data, { recursive: true })
  for (const [from, to] of one.files) {
    await mkdir(dirname(join(data, to)), { recursive: true })
    await copyFile(from, join(data, to))
    await chmod(join(data, to), 0o755)
  }
  const [size = ''] = (await run(['du', '-sb', data], '', signal)).split('\t')
  const version = `${one.version}-r1`
  const text = `${one.control}\nVersion: ${version}\nArchitecture: x86_64\nInstalled-Size: ${size}\n`
  await writeFile(join(control, 'control'), text)
  if (await exists(join(source, 'conffiles'))) await copyFile(join(source, 'conffiles'), join(control, 'conffiles'))

  await pack(data, join(whole, 'data.tar.gz'), signal)
  await pack(control, join(whole, 'control.tar.gz'), signal)
  const fileName = `${one.name}_${version}_x86_64.ipk`
  const file = join(options.feed, 'packages', fileName)
  await pack(whole, file, signal)
  await link(file, join(options.feed, 'packages', `${one.name}-${version}.apk`))
  const bytes = await readFile(file)
  const sum = createHash('sha256').update(bytes).digest('hex')
  return `${text}Filename: ${fileName}\nSize: ${bytes.length}\nSHA256sum: ${sum}\n`
}

/** Only files: a folder in an archive would change the mode of the box's own. */
async function pack(directory: string, file: string, signal: AbortSignal): Promise<void> {
  const script = 'find . -type f | sort | tar --owner=0 --group=0 --numeric-owner -T - -czf "$1"'
  await run(['sh', '-c', `cd "$0" && ${script}`, directory, file], '', signal)
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}

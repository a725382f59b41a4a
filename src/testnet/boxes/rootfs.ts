/**
 * The file system of the test boxes, put together from what lies in `test/openwrt/rootfs` (see its README for what a box is)
 * and from programs of this machine. It is made of layers, for overlayfs: the base, a package manager, and what that package
 * manager installs. So a box with tor differs from a bare one by exactly what `opkg install` does.
 */
import { createHash } from 'node:crypto'
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from '../inside/run.ts'
import type { PackageManager } from './protocol.ts'
import { BASE_PROGRAMS, buildBase } from './rootfs-base.ts'
import { buildManager } from './rootfs-managers.ts'
import { PACKAGED, writeFeed } from './rootfs-packages.ts'
import { findProgram } from './rootfs-programs.ts'

export { FEED_URL } from './rootfs-managers.ts'

const OURS = fileURLToPath(new URL('.', import.meta.url))
const SOURCES = fileURLToPath(new URL('../../../test/openwrt/rootfs', import.meta.url))
const BUSYBOX_BUILD = fileURLToPath(new URL('../../../test/openwrt/busybox/build', import.meta.url))

export interface RootfsOptions {
  /** Where the layers are kept. What is there already is used again, as long as it is the same. */
  readonly directory: string
  /** A busybox as OpenWrt configures it; unless told, `test/openwrt/busybox/build` makes or finds it. */
  readonly busybox?: string
}

export interface Rootfs {
  /** The document root that is to be served at `FEED_URL`. */
  readonly feed: string
  /** What overlayfs takes as `lowerdir`. A bare box has neither tor nor WireGuard. */
  lower(box: { readonly packageManager: PackageManager; readonly isBare: boolean }): string
}

/**
 * Builds the layers, in about two seconds, or finds them. Needs root. Rejects with what a program that it needs said, or
 * with the signal's reason, leaving no half-built layer behind.
 */
export async function buildRootfs(options: RootfsOptions, signal: AbortSignal): Promise<Rootfs> {
  const busybox = options.busybox ?? (await run([BUSYBOX_BUILD], '', signal)).trim()
  const key = await fingerprint(busybox, signal)
  const built = join(options.directory, `rootfs-${key}`)
  if (!(await exists(built))) {
    await mkdir(options.directory, { recursive: true })
    const building = await mkdtemp(join(options.directory, 'building-'))
    try {
      await build(building, busybox, signal)
      // Another one may have been quicker; what it built is the same.
      await rename(building, built).catch(async (error) => {
        if (!(await exists(built))) throw error
      })
    } finally {
      await rm(building, { recursive: true, force: true })
    }
  }
  return {
    feed: join(built, 'feed'),
    lower: ({ packageManager, isBare }) =>
      [...(isBare ? [] : [`installed-${packageManager}`]), packageManager, 'base']
        .map((layer) => join(built, layer))
        .join(':'),
  }
}

export interface BoxFilesOptions {
  readonly hostName: string
  /** A line of `authorized_keys`. */
  readonly authorizedKey: string
  /** Of the private network: `TorNetwork.clientTorrc()`. */
  readonly clientTorrc: readonly string[]
  /** The text of the private network's GeoIP file. */
  readonly geoip: string
}

export interface BoxFile {
  /** In the box, absolute. */
  readonly path: string
  readonly content: string
  readonly mode: number
}

/** What a box has on its flash besides the layers before it boots for the first time. */
export async function boxFiles(options: BoxFilesOptions): Promise<BoxFile[]> {
  const { hostName, authorizedKey, clientTorrc, geoip } = options
  const geoipPath = '/etc/tor/testnet-geoip'
  const system = await readFile(join(SOURCES, 'files/etc/config/system'), 'utf8')
  const lines = clientTorrc.map((line) => (line.startsWith('GeoIPFile ') ? `GeoIPFile ${geoipPath}` : line))
  return [
    {
      path: '/etc/config/system',
      content: system.replace("option hostname 'OpenWrt'", `option hostname '${hostName}'`),
      mode: 0o600,
    },
    { path: '/etc/dropbear/authorized_keys', content: `${authorizedKey.trim()}\n`, mode: 0o600 },
    { path: '/etc/tor/torrc-defaults', content: `${lines.join('\n')}\n`, mode: 0o644 },
    { path: geoipPath, content: geoip, mode: 0o644 },
  ]
}

async function build(directory: string, busybox: string, signal: AbortSignal): Promise<void> {
  const [base, feed, work] = [join(directory, 'base'), join(directory, 'feed'), join(directory, 'work')]
  await buildBase({ sources: SOURCES, base, work, busybox }, signal)
  await writeFeed({ sources: join(SOURCES, 'packages'), feed, base, work }, signal)
  for (const manager of ['opkg', 'apk'] as const) await buildManager({ manager, sources: SOURCES, directory }, signal)
  await rm(work, { recursive: true })
}

/** Changes whenever something changes that goes into the layers. */
async function fingerprint(busybox: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  for (const name of [...BASE_PROGRAMS, ...PACKAGED, busybox]) {
    const path = await findProgram(name, signal)
    const { size, mtimeMs } = await stat(path)
    hash.update(`${path} ${size} ${mtimeMs}\n`)
  }
  const code = (await readdir(OURS)).filter((name) => name.startsWith('rootfs')).map((name) => join(OURS, name))
  const sources = await readdir(SOURCES, { recursive: true, withFileTypes: true })
  const files = sources.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  for (const file of [...code, ...files].sort()) hash.update(`${file}\n`).update(await readFile(file))
  return hash.digest('hex').slice(0, 16)
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}

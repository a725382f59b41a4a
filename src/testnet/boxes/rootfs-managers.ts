/** The layers of the package managers, and those of what they install. */
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { run } from '../inside/run.ts'
import { FEED_PORT, ROUTER_ADDRESS } from './plan.ts'
import type { PackageManager } from './protocol.ts'
import { inRoot } from './rootfs-root.ts'

export const FEED_URL = `http://${ROUTER_ADDRESS}:${FEED_PORT}`

/** What a box that is not bare has from the beginning. Not curl: the health check must do without. */
const INSTALLED = 'tor wireguard-tools'

/** What every box has, in the list of what is installed: such a list is never empty. */
const BASE = ['base-files', 'busybox', 'dropbear', 'netifd', 'uci']
  .map((name) => `Package: ${name}\nVersion: 1\nStatus: install ok installed\n\n`)
  .join('')

interface Kind {
  /** Files that it expects, with what is in them. */
  readonly files: Readonly<Record<string, string>>
  readonly directory: string
  readonly install: string
}

const KINDS: Readonly<Record<PackageManager, Kind>> = {
  opkg: {
    files: {
      'etc/opkg/distfeeds.conf': `src/gz cbtor_test ${FEED_URL}/packages\n`,
      'usr/lib/opkg/status': BASE,
    },
    directory: 'usr/lib/opkg/info',
    install: `opkg update && opkg install ${INSTALLED}`,
  },
  apk: {
    files: {
      'etc/apk/repositories.d/distfeeds.list': `${FEED_URL}/packages/packages.adb\n`,
      'etc/apk/world': '',
      'lib/apk/db/installed': BASE,
    },
    directory: 'lib/apk/packages',
    install: `apk update && apk add ${INSTALLED}`,
  },
}

export interface ManagerOptions {
  readonly manager: PackageManager
  /** `test/openwrt/rootfs`. */
  readonly sources: string
  /** Where all the layers are, and the feed. */
  readonly directory: string
}

/** Builds a layer with the package manager, and another with what it installs by itself in a box that does not run. */
export async function buildManager(
  { manager, sources, directory }: ManagerOptions,
  signal: AbortSignal,
): Promise<void> {
  const layer = join(directory, manager)
  const kind = KINDS[manager]
  await cp(join(sources, manager), layer, { recursive: true })
  for (const [path, text] of Object.entries(kind.files)) {
    await mkdir(dirname(join(layer, path)), { recursive: true })
    await writeFile(join(layer, path), text)
  }
  await mkdir(join(layer, kind.directory), { recursive: true })
  await run(['sh', '-c', 'cd "$0" && chown -R 0:0 . && chmod -R u=rwX,go=rX .', layer], '', signal)
  await inRoot(
    {
      layers: [layer, join(directory, 'base')],
      script: kind.install,
      result: join(directory, `installed-${manager}`),
      mountPoint: join(directory, 'work/mounts'),
      feed: { directory: join(directory, 'feed'), address: ROUTER_ADDRESS, port: FEED_PORT },
    },
    signal,
  )
}

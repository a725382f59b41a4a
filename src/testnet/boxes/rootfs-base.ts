/** The layer that every box has: busybox, dropbear, nft and our stand-ins for the rest of OpenWrt. */
import { copyFile, cp, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../inside/run.ts'
import { APPLET_FOLDERS } from './rootfs-applets.ts'
import { copyPrograms, readDropbear } from './rootfs-programs.ts'
import { inRoot } from './rootfs-root.ts'

/** Programs of this machine, and where they go. */
const PROGRAMS: Readonly<Record<string, string>> = {
  nft: '/usr/sbin/nft',
  dropbear: '/usr/sbin/dropbear',
  dropbearkey: '/usr/bin/dropbearkey',
  // The log is kept by a program of its own on OpenWrt; two applets that its busybox does not have are in its place.
  busybox: '/usr/libexec/stand-in/logging',
}
export const BASE_PROGRAMS: readonly string[] = Object.keys(PROGRAMS)

const DIRECTORIES = `bin sbin usr/bin usr/sbin dev mnt overlay proc rom root sys tmp
  etc/crontabs etc/dropbear etc/rc.d`.split(/\s+/)
const SERVICES = ['boot', 'system', 'sysctl', 'log', 'dropbear', 'firewall', 'network', 'cron', 'done']
/** Modes that git does not keep. */
const FOR_ROOT_ONLY = 'etc/shadow etc/dropbear root etc/config/*'

export interface BaseOptions {
  /** `test/openwrt/rootfs`. */
  readonly sources: string
  readonly base: string
  /** For what is needed in between; the caller removes it. */
  readonly work: string
  readonly busybox: string
}

export async function buildBase({ sources, base, work, busybox }: BaseOptions, signal: AbortSignal): Promise<void> {
  await cp(join(sources, 'files'), base, { recursive: true })
  for (const name of DIRECTORIES) await mkdir(join(base, name), { recursive: true })
  await symlink('tmp', join(base, 'var'))
  // OpenWrt's dropbear reads root's keys there by itself.
  await symlink('/etc/dropbear', join(base, 'root/.ssh'))
  for (const applet of ['syslogd', 'logread']) await symlink('logging', join(base, 'usr/libexec/stand-in', applet))
  await symlink('uclient-fetch', join(base, 'bin/wget'))

  await copyFile(busybox, join(base, 'bin/busybox'))
  for (const applet of (await run([busybox, '--list'], '', signal)).trim().split('\n')) {
    const folder = APPLET_FOLDERS[applet] ?? 'usr/bin'
    if (applet !== 'busybox') await symlink('/bin/busybox', join(base, folder, applet))
  }
  await copyPrograms(PROGRAMS, base, signal)
  await writeFile(join(base, 'usr/sbin/dropbear'), await readDropbear(signal))

  const modes = `chown -R 0:0 . && chmod -R u=rwX,go=rX . && chmod -R go= ${FOR_ROOT_ONLY} && chmod 1777 tmp`
  await run(['sh', '-c', `cd "$0" && ${modes}`, base], '', signal)
  const enabling = `for service in ${SERVICES.join(' ')}; do /etc/init.d/$service enable || exit; done`
  await inRoot({ layers: [base], script: enabling, result: base, mountPoint: join(work, 'mounts') }, signal)
  // What a package manager leaves when it is empty.
  const directories = await run(['find', base, '-type', 'd', '-printf', '/%P\\n'], '', signal)
  await writeFile(join(base, 'usr/libexec/stand-in/directories'), directories)
}

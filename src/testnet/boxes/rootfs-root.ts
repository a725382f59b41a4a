/** Runs a script in a box's file system while no box runs, as at the making of an image. */
import { mkdir } from 'node:fs/promises'
import { run } from '../inside/run.ts'

/**
 * $1 an empty directory for the mounts, $2 lowerdir, $3 the feed or nothing, $4 its address, $5 its port, $6 the script, $7
 * where what the script wrote goes. What it writes goes to memory first: a file system that cannot hold overlayfs' upper
 * directory can be the end of the way all the same.
 */
const SCRIPT = `
set -eu
mount -t tmpfs -o mode=755 memory "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t tmpfs -o mode=1777 tmpfs "$1/root/tmp"
mount --bind /dev "$1/root/dev"
mount -t proc proc "$1/root/proc"
mkdir "$1/root/tmp/lock"
if [ -n "$3" ]; then
  ip link set lo up
  ip address add "$4/32" dev lo
  busybox httpd -p "$4:$5" -h "$3"
fi
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$1/root" /bin/sh -c "$6" >&2 </dev/null
cp -r --preserve=mode,ownership,links "$1/upper/." "$7"
`

export interface InRootOptions {
  /** Directories, the topmost first. */
  readonly layers: readonly string[]
  readonly script: string
  /** Where what it changed goes. */
  readonly result: string
  /** For the mounts; it is empty, and is so again afterwards. */
  readonly mountPoint: string
  /** Served at this address while the script runs. */
  readonly feed?: { readonly directory: string; readonly address: string; readonly port: number }
}

/** Namespaces of its own keep the mounts, the network and the processes apart, and end with it. Rejects with what the script said. */
export async function inRoot(options: InRootOptions, signal: AbortSignal): Promise<void> {
  const { layers, script, result, mountPoint, feed } = options
  for (const directory of [result, mountPoint]) await mkdir(directory, { recursive: true })
  const unshare = ['unshare', '--mount', '--net', '--pid', '--fork', '--kill-child', '--']
  const served = [feed?.directory ?? '', feed?.address ?? '', `${feed?.port ?? ''}`]
  const command = ['sh', '-c', SCRIPT, 'sh', mountPoint, layers.join(':'), ...served, script, result]
  await run([...unshare, ...command], '', signal)
}

/** Programs of this machine, with the shared libraries that they need. */
import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { run } from '../inside/run.ts'

const FOLDERS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin']
/** The PATH that Debian's dropbear gives to root, and OpenWrt's, which has no /usr/local. */
const DEBIAN_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\0'
const OPENWRT_PATH = '/usr/sbin:/usr/bin:/sbin:/bin\0'

/** The path of a program. Rejects when this machine has none of that name. */
export async function findProgram(name: string, signal: AbortSignal): Promise<string> {
  const script = 'PATH="$2:$PATH"; command -v "$1"'
  try {
    return (await run(['sh', '-c', script, 'sh', name, FOLDERS.join(':')], '', signal)).trim()
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw new Error(`Cannot build the test boxes: this machine has no ${name}. script/setup brings it`, {
      cause: error,
    })
  }
}

/** Copies programs of this machine, `{ name: path in root }`, and the libraries that are not in `root` yet. */
export async function copyPrograms(
  programs: Readonly<Record<string, string>>,
  root: string,
  signal: AbortSignal,
): Promise<void> {
  for (const [name, path] of Object.entries(programs)) {
    const program = await findProgram(name, signal)
    await copyInto(root, program, path)
    for (const library of await librariesOf(program, signal)) await copyInto(root, library, library)
  }
}

/** The shared libraries that a program loads, and the loader. */
export async function librariesOf(program: string, signal: AbortSignal): Promise<string[]> {
  // A program that is linked statically fails ldd; it has none.
  const said = await run(['sh', '-c', 'ldd "$1" 2>/dev/null || true', 'sh', program], '', signal)
  return [...said.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)].map(([, path = '']) => path)
}

/** dropbear with OpenWrt's PATH for the commands that it runs. */
export async function readDropbear(signal: AbortSignal): Promise<Buffer> {
  const bytes = await readFile(await findProgram('dropbear', signal))
  const at = bytes.indexOf(DEBIAN_PATH)
  if (at === -1)
    throw new Error(`Cannot build the test boxes: this machine's dropbear has another PATH than ${DEBIAN_PATH}`)
  bytes.write(OPENWRT_PATH, at)
  return bytes
}

async function copyInto(root: string, from: string, to: string): Promise<void> {
  const target = join(root, to)
  await mkdir(dirname(target), { recursive: true })
  await copyFile(from, target)
}

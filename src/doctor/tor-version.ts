import { type Finding, messageOf, ok, unchecked, warning, wrong } from './finding.ts'

/** Conflux came with 0.4.8, and with it the option that turns it off; older ones get no security fixes any more. */
const OLDEST = [0, 4, 8] as const

const UPGRADE = 'Install a newer tor, such as that of https://support.torproject.org/apt/'

/** Runs a program to its end and resolves with its standard output. Rejects with why it could not be run or failed. */
export type RunProgram = (command: readonly string[], signal: AbortSignal) => Promise<string>

/** The program that local workers are made of. */
export async function checkTorProgram(
  command: readonly string[],
  run: RunProgram,
  signal: AbortSignal,
): Promise<Finding> {
  const called = command.join(' ')
  let said: string
  try {
    said = await run([...command, '--version'], signal)
  } catch (error) {
    signal.throwIfAborted()
    return wrong(
      'tor',
      `"${called}" cannot be run: ${messageOf(error)}`,
      'Install tor (apt-get install tor tor-geoipdb), or say in tor.command of the configuration what runs it',
    )
  }
  return judgeTorVersion('tor', /^Tor version (\S+?)\.?(?:\s|$)/m.exec(said)?.[1], `of "${called}"`)
}

/** `version`: as Tor says it, `0.4.9.11` or `0.4.8.10-dev`. */
export function judgeTorVersion(name: string, version: string | undefined, whose: string): Finding {
  if (version === undefined) return unchecked(name, `the version ${whose} is not known`)
  const numbers = /^(\d+)\.(\d+)\.(\d+)(?:\.\d+)?(?:-[\w.-]+)?$/.exec(version)?.slice(1).map(Number)
  if (numbers === undefined)
    return warning(name, `${version} ${whose}, which is no version that is known here`, UPGRADE)
  const difference = OLDEST.map((part, index) => (numbers[index] ?? 0) - part).find((by) => by !== 0) ?? 0
  if (difference < 0) return wrong(name, `${version} ${whose} is older than ${OLDEST.join('.')}`, UPGRADE)
  return ok(name, `${version} ${whose}`)
}

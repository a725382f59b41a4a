import { printable } from '../../../lib/printable.ts'
import { RemoteCommandError } from '../../remote/remote-command-error.ts'
import { INSTALL_PACKAGES, LIST_PACKAGES, WAIT_FOR_PACKAGE_MANAGER } from '../../remote/system-commands.ts'
import type { BoxFacts } from '../facts.ts'
import { copyOf, entryOf } from '../file-edit.ts'
import { InstallError } from '../install-error.ts'
import { ORIGINALS } from '../journal.ts'
import { hasTor } from '../obstacles.ts'
import type { Step, StepRun } from './step.ts'

/** Downloads and flash writes of a slow box. */
const INSTALL_LIMIT_MS = 300_000
const WAIT_LIMIT_MS = 90_000

/** The package of Tor makes a user, and removing the package does not take it away. */
const TOUCHED_BY_PACKAGES = ['/etc/passwd', '/etc/group', '/etc/shadow']
/** A package leaves its directories when something of ours is in them. */
const DIRECTORIES_OF_PACKAGES = ['/etc/tor', '/etc/tor/torrc.d']

export function packagesStep(facts: BoxFacts): Step {
  const manager = facts.packageManager ?? 'opkg'
  const missing = missingPackages(facts.packages)
  return {
    name: 'packages',
    look: async () => missing.map((name) => `+ package ${name} (${manager}), with what it needs`),
    apply: async (run) => {
      const hasUnsettled = run.keeper.journal.original.packages?.before !== undefined
      if (missing.length > 0 || hasUnsettled) await installPackages(run, missing)
    },
  }
}

export function missingPackages(present: ReadonlySet<string>): readonly string[] {
  return [...(hasTor(present) ? [] : ['tor']), ...(present.has('wireguard-tools') ? [] : ['wireguard-tools'])]
}

async function installPackages({ box, keeper, facts, packageManager }: StepRun, missing: readonly string[]) {
  const files = await box.readAll(TOUCHED_BY_PACKAGES)
  const directories = await box.missingDirectories(DIRECTORIES_OF_PACKAGES)
  await keeper.note(({ original, run }) => {
    for (const ledger of run ? [original, run] : [original]) {
      ledger.packages ??= { added: [] }
      ledger.packages.before ??= [...facts.packages]
      ledger.directories.push(...directories.filter((path) => !ledger.directories.includes(path)))
      for (const [path, { sha256 }] of files) {
        if (!entryOf(ledger, path))
          ledger.files.push({ path, original: sha256, left: null, mixed: false, part: { kind: 'user', name: 'tor' } })
      }
    }
  })
  const { original } = keeper.journal
  const untouched = [...files].filter(([path, { sha256 }]) => entryOf(original, path)?.original === sha256)
  await box.copy(untouched.map(([path]) => [path, copyOf(ORIGINALS, path)]))

  if (missing.length > 0) {
    await box.run('wait for the package manager', WAIT_FOR_PACKAGE_MANAGER, [], WAIT_LIMIT_MS)
    try {
      await box.run('install packages', INSTALL_PACKAGES[packageManager], missing, INSTALL_LIMIT_MS)
    } catch (error) {
      if (error instanceof RemoteCommandError) throw packageFailure(error, missing, packageManager)
      throw error
    }
  }

  const present = await box.lines('list the packages', LIST_PACKAGES[packageManager])
  const changed = await box.readAll(TOUCHED_BY_PACKAGES)
  await keeper.note((journal) => {
    for (const ledger of journal.run ? [journal.original, journal.run] : [journal.original]) {
      const { before, added } = ledger.packages ?? { before: undefined, added: [] }
      const fresh = before ? present.filter((name) => !before.includes(name)) : []
      ledger.packages = { added: [...new Set([...added, ...fresh])] }
      for (const [path, { sha256 }] of changed) {
        const entry = entryOf(ledger, path)
        if (entry) entry.left ??= sha256
      }
    }
  })
}

/** What the package manager said, as a sentence of ours that tells how to mend it. */
function packageFailure({ result }: RemoteCommandError, missing: readonly string[], manager: string): InstallError {
  const output = result.stdout
  const names = missing.join(' and ')
  const last = printable(output.trim().split('\n').slice(-3).join(' / '), 300)
  if (/no space left|not enough space|only have \d+|out of space/i.test(output)) {
    return new InstallError(
      `Cannot install ${names}: no space is left on the box. Remove packages or files (see: df -h /overlay), extend the overlay ` +
        `(extroot), or use an image with both packages built in. ${manager} said: ${last}`,
    )
  }
  if (
    /failed to download|wget|failed to send request|network|temporary error|unable to fetch|could not resolve/i.test(
      output,
    )
  ) {
    return new InstallError(
      `Cannot install ${names}: the box cannot reach its package feed. Mend its way to the internet (default route, DNS, clock), see ` +
        `that \`${manager} update\` works there, and run this again; or install ${names} by hand first. ${manager} said: ${last}`,
    )
  }
  return new InstallError(
    `Cannot install ${names}: ${manager} failed. See that \`${manager} ${manager === 'apk' ? 'add' : 'install'} ${missing.join(' ')}\` ` +
      `works on the box, and run this again. It said: ${last}`,
  )
}

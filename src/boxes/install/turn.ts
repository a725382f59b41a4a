import { printable } from '../../lib/printable.ts'
import type { BoxShell } from '../remote/box-shell.ts'
import { RemoteCommandError } from '../remote/remote-command-error.ts'
import { TAKE_TURN, TURN_TAKEN } from '../remote/system-commands.ts'
import { InstallError } from './install-error.ts'

/**
 * Makes this connection the one that may change the box; ends an older one from the same address. Rejects with an `InstallError`
 * when another machine is at work.
 */
export async function takeTurn(box: BoxShell): Promise<void> {
  try {
    await box.run('begin the work on the box', TAKE_TURN)
  } catch (error) {
    if (!(error instanceof RemoteCommandError) || error.result.code !== TURN_TAKEN) throw error
    throw new InstallError(
      `Cannot change the box now: another machine, ${printable(error.result.stdout.trim())}, is installing or uninstalling a worker on it. ` +
        'Nothing was changed. Wait until that is over; if it hangs, end its SSH connection on the box: kill $(cut -d " " -f 1 /var/lock/cbtor-install)',
    )
  }
}

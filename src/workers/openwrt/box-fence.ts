import { command, inOrder, type SshCommand } from '../../ssh/command.ts'

/** Exit code of an order whose giver has lost the lease to heal the box's worker to another gateway. */
export const FENCED_OFF = 24

/**
 * stdin: a token, digits all of one length, so that they sort as numbers do. Goes on when no higher one was seen since the box's boot.
 * The lock is let go of before the order, as what that starts would keep it.
 */
const PASS_FENCE = command`
umask 077
IFS= read -r token || exit 1
exec 9>/var/run/cbtor-fence.lock && flock 9 || exit 1
seen=
[ ! -f /var/run/cbtor-fence ] || IFS= read -r seen </var/run/cbtor-fence
last=$(printf '%s\n%s\n' "$seen" "$token" | sort | tail -n 1)
if [ "$last" != "$token" ]; then echo 'another gateway heals this box by now'; exit 24; fi
echo "$token" >/var/run/cbtor-fence || exit 1
exec 9>&-`

/** The order, given only if no gateway with a higher token has given one. stdin: `fenceLine`. */
export function fenced(order: SshCommand): SshCommand {
  return inOrder(PASS_FENCE, order)
}

/** Of whole numbers that a double holds: 16 digits. */
export function fenceLine(token: number): string {
  return `${String(token).padStart(16, '0')}\n`
}

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { before, describe, it } from 'node:test'
import { openwrtBusybox } from './busybox.ts'

/** What a script that is written on another system would use, and a stock box has not. */
const ABSENT =
  'timeout stat nohup setsid od xxd base64 realpath diff comm paste tac hostname pkill watch su usleep fuser wget curl'

/** What scripts for boxes may rely on. */
const PRESENT =
  'ash awk sed grep find cut sort tr head tail wc date mktemp mkfifo flock hexdump md5sum sha256sum nc nslookup netstat ' +
  'pgrep pidof killall start-stop-daemon logger ip ping ntpd crond crontab xargs strings less uptime readlink seq printf ' +
  'time sysctl reboot mount umount chroot login passwd'

let busybox = ''
before(async () => {
  busybox = await openwrtBusybox()
})

function run(...args: string[]): { code: number | null; out: string; error: string } {
  const { status, stdout, stderr } = spawnSync(busybox, args, { encoding: 'utf8', timeout: 10_000, input: 'abc def\n' })
  return { code: status, out: stdout, error: stderr }
}

describe('the busybox that scripts for boxes are tested on', () => {
  it('has the commands of a stock OpenWrt, and not those that it leaves out', () => {
    const applets = new Set(run('--list').out.split('\n'))
    assert.deepEqual(
      PRESENT.split(' ').filter((name) => !applets.has(name)),
      [],
    )
    assert.deepEqual(
      ABSENT.split(' ').filter((name) => applets.has(name)),
      [],
    )
  })

  it('has an nc without options', () => {
    const { code, error } = run('nc', '-w', '1', '127.0.0.1', '1')
    assert.notEqual(code, 0)
    assert.match(error, /Usage: nc \[IPADDR PORT\]/)
  })

  it('knows no fractions of a second', () => {
    assert.match(run('sleep', '0.5').error, /invalid number/)
    assert.match(run('ash', '-c', 'read -t 0.5 x').error, /invalid timeout/)
    assert.equal(run('date', '+%N').out, '%N\n')
    assert.equal(run('sleep', '0').code, 0)
  })

  it('has no classes in tr, no regular expressions in cut and no -delete in find', () => {
    assert.equal(run('tr', '[:lower:]', 'x').out, 'abc dxf\n') // e is one of the letters of [:lower:]
    assert.match(run('cut', '-F', '1').error, /invalid option/)
    assert.match(run('find', '/proc/self/comm', '-delete').error, /unrecognized/)
  })

  it('has the shell that OpenWrt has', () => {
    const ash = (script: string): string => run('ash', '-c', script).out
    assert.equal(ash('f() { local a=1; echo $((a << 40)); }; f'), '1099511627776\n')
    assert.equal(ash('[[ abc == a* ]] && echo yes'), 'yes\n')
    assert.equal(ash('a=abc; echo $a | while read -r b; do echo "$b"; done'), 'abc\n')
    assert.equal(ash('case $RANDOM in [0-9]*) echo number ;; esac'), 'number\n')
    assert.match(run('ash', '-c', 'time (true)').error, /syntax error/)
  })
})

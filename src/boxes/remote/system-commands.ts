import { command } from '../../ssh/command.ts'

/*
 * Packages, services and facts of a box. Constants for busybox ash as OpenWrt configures it: no `timeout`, no `stat`, and
 * everything that may fail without harm ends in `true`.
 */

/** Prints what the box is, a fact a line: its name, a blank, its value. */
export const FACTS = command`
if [ -f /etc/openwrt_release ]; then
  . /etc/openwrt_release
  echo "openwrt $DISTRIB_ID $DISTRIB_RELEASE $DISTRIB_TARGET"
fi
echo "uid $(id -u)"
if command -v apk >/dev/null; then echo 'packages apk'; elif command -v opkg >/dev/null; then echo 'packages opkg'; fi
set -- $(df -k /etc | tail -n 1)
while [ $# -gt 3 ]; do shift; done
echo "free_kb $1"
echo "clock $(date +%s)"
echo "connection $SSH_CONNECTION"
[ ! -d /sys/class/net/wg0 ] || echo 'wg0 present'
[ -z "$(ls -A /etc/cbtor 2>/dev/null)" ] || echo 'directory present'
for service in tor cron; do
  [ -x "/etc/init.d/$service" ] || continue
  echo "service $service"
  ! "/etc/init.d/$service" enabled || echo "enabled $service"
  ! "/etc/init.d/$service" running || echo "running $service"
done
ip -4 -o addr show 2>/dev/null | while read -r _ interface _ address _; do echo "address $interface $address"; done
netstat -ltunp 2>/dev/null | while read -r protocol _ _ local rest; do
  case $protocol in tcp*|udp*) echo "listens $protocol $local $rest" ;; esac
done
true`

/** Exit code of TAKE_TURN when another machine is at work. */
export const TURN_TAKEN = 23

/**
 * One gateway at a time changes a box: noted is the process of its SSH connection, so it ends with that. An older connection from the
 * same address is taken for one of ours that was lost or hangs, and ended. Prints the address of another machine that is at work.
 */
export const TAKE_TURN = command`
umask 077
mkdir -p /var/lock && exec 9>/var/lock/cbtor-install.lock && flock 9 || exit 1
from=\${SSH_CONNECTION%% *}
read -r pid other 2>/dev/null </var/lock/cbtor-install
if [ -n "$pid" ] && [ "$pid" != "$PPID" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$(cat "/proc/$PPID/comm")" ]; then
  [ "$other" = "$from" ] || { echo "$other"; exit 23; }
  kill "$pid"
fi
echo "$PPID $from" >/var/lock/cbtor-install`

/** A connection that was lost, or an interrupted run, leaves the package manager at its work: it is let end, within a minute. */
export const WAIT_FOR_PACKAGE_MANAGER = command`
seconds=0
while pidof opkg apk >/dev/null && [ "$seconds" -lt 60 ]; do sleep 1; seconds=$((seconds + 1)); done`

/**
 * Fails rather than prints nothing: what is not in the list is taken for ours later on, and removed. Waits, as opkg lists nothing
 * while another one has its lock.
 */
export const LIST_PACKAGES = {
  opkg: command`
for try in 1 2 3 4 5 6 7 8 9 10; do
  list=$(opkg list-installed) && [ -n "$list" ] && break
  list=
  sleep 1
done
[ -n "$list" ] && echo "$list" | cut -d ' ' -f 1`,
  apk: command`
for try in 1 2 3 4 5 6 7 8 9 10; do
  list=$(apk info) && [ -n "$list" ] && break
  list=
  sleep 1
done
[ -n "$list" ] && echo "$list"`,
} as const

/** stdin: packages. */
export const INSTALL_PACKAGES = {
  opkg: command`exec 2>&1; opkg update && opkg install $(cat)`,
  apk: command`exec 2>&1; apk update && apk add $(cat)`,
} as const

/**
 * stdin: packages, those that were asked for first. What others need goes once these have gone: hence the rounds, in which a
 * refusal is nothing. What is left at the end is the caller's to find out.
 */
export const REMOVE_PACKAGES = {
  opkg: command`
names=$(cat)
for round in 1 2 3 4 5; do
  left=
  for name in $names; do
    opkg remove "$name" >/dev/null 2>&1
    [ -z "$(opkg status "$name" 2>/dev/null)" ] || left="$left $name"
  done
  names=$left
  [ -n "$names" ] || break
done
true`,
  apk: command`
for name in $(cat); do apk del "$name" >/dev/null 2>&1; done
true`,
} as const

/** Removes what a Tor leaves in memory that was installed for us and is gone now. */
export const REMOVE_TRACES_OF_TOR = command`
rm -rf /var/lib/tor /var/run/tor /var/log/tor /var/log/tor-health.log /var/log/tor-health.log.1 /tmp/torrc`

/** With the lock that its hotplug script has made, and would make again. */
export const TUNNEL_DOWN = command`
[ ! -d /sys/class/net/wg0 ] || ifdown wg0 || exit 1
nft delete table inet cbtor 2>/dev/null
true`
export const TUNNEL_UP = command`/etc/init.d/network reload && ifup wg0`
/**
 * netifd knows the protocols that it found when it started, so that of a package that came later needs a restart. It may cut this
 * very connection: hence in the background, with stdin, stdout and stderr let go.
 */
export const RESTART_NETWORK = command`(sleep 1; /etc/init.d/network restart) </dev/null >/dev/null 2>&1 &`
/** Prints `up`, `unknown` when netifd does not know the protocol, or `down`. */
export const TUNNEL_STATE = command`
if [ -d /sys/class/net/wg0 ]; then echo up; exit 0; fi
case $(ubus call network.interface.wg0 status 2>/dev/null) in
  *INVALID_PROTO*|*NO_PROTO*) echo unknown ;;
  *) echo down ;;
esac`
export const RELOAD_NETWORK = command`/etc/init.d/network reload`
export const RELOAD_FIREWALL = command`/etc/init.d/firewall reload`

/** On a box whose crontab is empty, cron's init script starts nothing and fails: that is no failure of ours. */
export const ENABLE_CRON = command`/etc/init.d/cron enable && /etc/init.d/cron restart`
export const RESTART_CRON = command`/etc/init.d/cron restart; true`
export const DISABLE_CRON = command`/etc/init.d/cron disable; /etc/init.d/cron stop; true`

export const ENABLE_TOR = command`/etc/init.d/tor enable && /etc/init.d/tor restart`
export const RESTART_TOR = command`[ ! -x /etc/init.d/tor ] || /etc/init.d/tor restart`
export const STOP_AND_DISABLE_TOR = command`
[ -x /etc/init.d/tor ] || exit 0
/etc/init.d/tor stop
/etc/init.d/tor disable
true`

/** Asks Tor itself about the torrc that its init script would make, before the running Tor is touched. */
export const VERIFY_TORRC = command`
exec 2>&1
umask 077
torrc=/tmp/cbtor-verify.torrc
trap 'rm -f "$torrc"' EXIT
for key in head_include default tail_include; do
  for file in $(uci -q get "tor.conf.$key"); do
    [ ! -f "$file" ] || echo "%include $file"
  done
done >"$torrc" || exit 1
mkdir -p /var/lib/tor && chown tor:tor /var/lib/tor && chmod 0700 /var/lib/tor
chown tor:tor "$torrc"
tor --verify-config -f "$torrc"`

/** Prints what runs, a fact a line, as FACTS does. */
export const RUNNING = command`
tor=$(pidof tor) && echo "tor $tor"
crond=$(pidof crond) && echo "crond $crond"
[ ! -d /sys/class/net/wg0 ] || echo 'wg0 present'
echo "wireguard $(wg show wg0 listen-port 2>/dev/null) $(wg show wg0 peers 2>/dev/null | tr '\n' ' ')"
echo "forwarding $(cat /proc/sys/net/ipv4/conf/wg0/forwarding 2>/dev/null)"
! nft list chain inet cbtor forward 2>/dev/null | grep -q 'iifname "wg0".*drop' ||
  ! nft list chain inet cbtor postrouting 2>/dev/null | grep -q 'ip daddr .*drop' || echo 'lock holds'
wg show wg0 latest-handshakes 2>/dev/null | while read -r _ at; do echo "handshake $at"; done
ip -4 -o addr show dev wg0 2>/dev/null | while read -r _ _ _ address _; do echo "address $address"; done
netstat -ltun 2>/dev/null | while read -r protocol _ _ local _; do
  case $protocol in tcp*|udp*) echo "listens $protocol $local" ;; esac
done
rules=$(nft list table inet fw4 2>/dev/null)
case $rules in *':9040'*) echo 'redirect 9040' ;; esac
case $rules in *':9053'*) echo 'redirect 9053' ;; esac
uptime=$(cut -d . -f 1 /proc/uptime)
age=$(($(date +%s) - $(date -r /etc/cbtor/install.json +%s)))
[ "$age" -lt "$uptime" ] || age=$uptime
echo "age $age"
[ ! -f /var/run/tor/health-status ] || while read -r line; do echo "health $line"; done </var/run/tor/health-status
true`

#!/bin/sh
# Keeps the Tor of this box working, whoever else does. Run by cron each minute; a run that finds another one going ends at once.
#
#   An onion site, chosen at random, is asked for its front page's header through Tor's SOCKS port, within TEST_TIMEOUT.
#   It fails: new circuits (NEWNYM), NEWNYM_WAIT, another site.
#   It fails: restart of Tor, RESTART_WAIT, another site.
#   It fails: OFFLINE, and Tor is stopped. After RECOVERY_WAIT it is restarted and tried anew.
#
# A Tor that has had less than BOOTSTRAP_WAIT is not judged: a restart would throw its progress away.
#
# OFFLINE is left as soon as a test passes. Tor being stopped then, it is started for a test each OFFLINE_CHECK, and stopped
# again when it fails. A Tor that somebody else has started meanwhile (the gateway, the operator) is tested each minute, and
# left running until RECOVERY_WAIT is over, so that the two do not fight; nor is one restarted or stopped that somebody else has
# restarted during the run.
#
# A Tor that somebody else has stopped stays so: STOPPED. While OFFLINE the two are told apart by `/etc/init.d/tor enabled`,
# or by the status file: who removes it after a stop gets STOPPED.
#
# Where the status cannot be written (/tmp full), Tor is neither restarted nor stopped: the gateway could not know of it, and
# Tor's init script needs /tmp as well.
#
# For busybox as OpenWrt configures it; curl is used where it is installed.

set -u
umask 022
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH

RUN=/var/run/tor
STATUS=$RUN/health-status
LOG=/var/log/tor-health.log
LOCK=/var/lock/tor-health.lock
CONF=/etc/cbtor/health.conf
SITES=/etc/tor/onion-test-sites.txt
COOKIE=/var/lib/tor/control_auth_cookie
TOR=/etc/init.d/tor

CONTROL_TIMEOUT=5 # seconds for Tor to answer on its control port
INIT_TIMEOUT=60   # seconds for the init script, which waits for others that use it
EXIT_TIMEOUT=15   # seconds for the new process to be there; procd gives the old one 5 to end

# --- What is written down ---

log() {
	if [ "$(wc -c <"$LOG" || echo 0)" -ge "$LOG_BYTES" ]; then mv -f "$LOG" "$LOG.1"; fi
	echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $*" >>"$LOG" || logger -t tor-health "$*"
} 2>/dev/null

# tell STATE REASON: writes the status, whole or not at all. Fails when it cannot be written.
tell() {
	checked=$(date +%s)
	if [ "$1" != "$state" ]; then
		log "$1 (was $state): $2"
		since=$checked
	fi
	state=$1
	reason=$2
	if printf 'checked=%s\nstate=%s\nreason=%s\nsince=%s\ntried=%s\nversion=%s\npid=%s\n' \
		"$checked" "$state" "$reason" "$since" "$tried" "$version" "$$" >"$STATUS.new" &&
		[ "$(tail -n 1 "$STATUS.new")" = "pid=$$" ] && mv -f "$STATUS.new" "$STATUS"; then
		return 0
	fi 2>/dev/null
	rm -f "$STATUS.new"
	log "The status cannot be written to $STATUS: is /tmp full?"
	return 1
}

# What the last run left: `state`, `since` (when that began), `tried` (when an OFFLINE Tor was last started for a test).
recall() {
	state=UNKNOWN
	reason=
	since=0
	tried=0
	[ -r "$STATUS" ] || return 0
	while IFS='=' read -r key value; do
		case $key in
		state) state=$value ;;
		reason) reason=$value ;;
		since) is_number "$value" && since=$value ;;
		tried) is_number "$value" && tried=$value ;;
		esac
	done <"$STATUS"
}

# A whole number of at most ten digits, in the form in which $(( )) takes it for what it looks like.
is_number() {
	case $1 in 0) return 0 ;; '' | 0* | *[!0-9]* | ???????????*) return 1 ;; esac
}

# --- Its configuration ---

configure() {
	TEST_TIMEOUT=30
	NEWNYM_WAIT=5
	RESTART_WAIT=30
	RECOVERY_WAIT=900
	BOOTSTRAP_WAIT=90
	OFFLINE_CHECK=180
	LOG_BYTES=65536
	[ -r "$CONF" ] || return 0
	faults=
	while read -r line || [ -n "$line" ]; do
		line=${line%%#*}
		line=$(echo "$line" | tr -d ' \t\r')
		case ${line%%=*} in
		'') ;;
		TEST_TIMEOUT | NEWNYM_WAIT | RESTART_WAIT | BOOTSTRAP_WAIT) set_to "$line" 1 3600 ;;
		RECOVERY_WAIT | OFFLINE_CHECK) set_to "$line" 1 604800 ;;
		LOG_BYTES) set_to "$line" 1024 1048576 ;;
		*) faults="$faults; \"$line\" is not known" ;;
		esac
	done <"$CONF"
	# Once for each version of the file.
	seen=$(md5sum <"$CONF")
	if [ "$seen" != "$(cat "$RUN/health.conf.seen" 2>/dev/null)" ]; then
		[ -z "$faults" ] || log "In $CONF${faults#;}"
		echo "$seen" 2>/dev/null >"$RUN/health.conf.seen"
	fi
}

# set_to NAME=VALUE LOWEST HIGHEST: where VALUE is none, the default stays.
set_to() {
	if [ "${1#*=}" != "$1" ] && is_number "${1#*=}" && [ "${1#*=}" -ge "$2" ] && [ "${1#*=}" -le "$3" ]; then
		eval "$1" # a known name and a number
	else
		faults="$faults; \"$1\" is not from $2 to $3, so ${1%%=*} keeps its default"
	fi
}

# --- Tor's process ---

# By its command line: the init script has the same name while it runs.
tor_pid() {
	pgrep -f '^(/usr/sbin/)?tor ' | head -n 1
}

# How many seconds ago process $1 was started; 0 when it is gone.
age_of() {
	awk 'FNR == 1 && NR == 1 { up = $1; next } { age = int(up - $22 / 100) } END { print age + 0 }' \
		/proc/uptime "/proc/${1:-self}/stat" 2>/dev/null || echo 0
}

# within SECONDS COMMAND...: what it exits with, or 124 when it had to be killed.
within() {
	left=$1
	shift
	"$@" >/dev/null 2>&1 </dev/null 9>&- &
	child=$!
	while kill -0 "$child" 2>/dev/null; do
		if [ "$left" -le 0 ]; then
			kill -9 "$child"
			return 124
		fi
		sleep 1 9>&-
		left=$((left - 1))
	done
	wait "$child"
}

# Waits, and lets the status show that somebody is there.
pause() {
	left=$1
	while [ "$left" -gt 0 ]; do
		step=$((left < 60 ? left : 60))
		sleep "$step" 9>&-
		left=$((left - step))
		tell "$state" "$reason"
	done
}

seconds_up() {
	cut -d . -f 1 /proc/uptime
}

# --- Talking to Tor ---

# ask PORT SECONDS LINES TEXT: sends TEXT (with printf %b's escapes) to a port of this box and prints the first LINES (1 or 2) of
# the answer, or what came within SECONDS. busybox' nc has no timeout, and Tor drops a client that closes its sending side: so
# `sleep` keeps nc's input open, and who reads the answer ends both. No file is needed, as /tmp may be full.
ask() {
	{
		{
			read -r self _ </proc/self/stat
			echo "$self" >&3
			printf '%b' "$4"
			exec sleep "$2" 3>&-
		} | {
			(
				read -r self _ </proc/self/stat
				echo "$self" >&3
				exec nc 127.0.0.1 "$1" 3>&-
			)
			printf '\n\n' # in place of lines that did not come
		}
	} 3>&1 2>/dev/null | {
		read -r first
		read -r second
		count=0
		answer=
		# shellcheck disable=SC3045 # ash has both
		while [ "$count" -lt "$3" ] && IFS= read -r -t "$2" -n 400 answer; do
			printf '%s\n' "$answer"
			answer=
			count=$((count + 1))
		done
		printf '%s' "$answer"
		kill "$first" "$second" 2>/dev/null
	}
}

# Chooses a site that this run has not asked yet, or any when it has asked all. Fails when there is none.
choose_site() {
	site=$(awk -v seed="$(hexdump -n 4 -e '1/4 "%u"' /dev/urandom)" -v asked=" $asked " '
		{ sub(/^[ \t]*(https?:\/\/)?/, ""); sub(/[\/#: \t\r].*/, "") }
		/^[A-Za-z0-9.-]+$/ { if (index(asked, " " $0 " ")) old[++olds] = $0; else new[++news] = $0 }
		END { srand(seed); if (news) print new[int(rand() * news) + 1]; else if (olds) print old[int(rand() * olds) + 1] }
	' "$SITES" 2>/dev/null)
	asked="$asked $site"
	[ -n "$site" ]
}

# Whether a site answers through Tor. Else `why` says what came instead.
test_tor() {
	choose_site || return 1
	begun=$(seconds_up)
	if command -v curl >/dev/null 2>&1; then
		curl -q -s -I -o /dev/null -m "$TEST_TIMEOUT" --socks5-hostname 127.0.0.1:9050 "http://$site/" 9>&-
		code=$?
		case $code in
		0) why= ;;
		7) why="Tor's SOCKS port does not answer" ;;
		28) why="$site did not answer within $TEST_TIMEOUT s" ;;
		97) why="Tor did not reach $site" ;;
		*) why="$site gave no answer (curl's code $code)" ;;
		esac
	else
		# SOCKS4a: version 4, connect, port 80, address 0.0.0.1 for "a name follows", no user. It grants with Z, refuses with [.
		answer=$(exec 9>&- && ask 9050 "$TEST_TIMEOUT" 1 \
			"\0004\0001\0000\0120\0000\0000\0000\0001\0000$site\0000HEAD / HTTP/1.0\r\nHost: $site\r\n\r\n")
		case $answer in
		ZHTTP/*) why= ;;
		'['*) why="Tor did not reach $site" ;;
		Z?*) why="$site gave an answer that is not HTTP" ;;
		*)
			if [ $(($(seconds_up) - begun)) -ge "$TEST_TIMEOUT" ]; then
				why="$site did not answer within $TEST_TIMEOUT s"
			else
				why="Tor's SOCKS port does not answer"
			fi
			;;
		esac
	fi
	[ -z "$why" ]
}

new_circuits() {
	cookie=$(hexdump -v -e '1/1 "%02x"' "$COOKIE" 2>/dev/null)
	answer=$(exec 9>&- && ask 9051 "$CONTROL_TIMEOUT" 2 "AUTHENTICATE $cookie\r\nSIGNAL NEWNYM\r\nQUIT\r\n" | tr -d '\r' | tr '\n' ' ')
	case $answer in
	'250 OK 250 OK '*) log "New circuits (NEWNYM)" ;;
	*)
		log "Tor takes no NEWNYM: ${answer:-it does not answer on its control port}"
		return 1
		;;
	esac
}

# --- What is done about it ---

healthy() {
	tell HEALTHY "$site answered"
	exit
}

# Tests until one passes, or until Tor has had BOOTSTRAP_WAIT since $1 (seconds_up) before a test that fails.
test_until_grown() {
	while :; do
		had=$(($(seconds_up) - $1))
		test_tor && return 0
		[ "$had" -lt "$BOOTSTRAP_WAIT" ] || return 1
		tell "$state" "$why"
		pause "$NEWNYM_WAIT"
	done
}

# Waits until Tor's process is another one than $1.
wait_for_tor() {
	patience=$EXIT_TIMEOUT
	while [ "$patience" -gt 0 ]; do
		pid=$(tor_pid)
		[ -n "$pid" ] && [ "$pid" != "$1" ] && return 0
		sleep 1 9>&-
		patience=$((patience - 1))
	done
	log "Tor was told to start, and after $EXIT_TIMEOUT s there is no new process: see tor --verify-config -f /tmp/torrc"
	return 1
}

# Somebody else who has restarted or stopped Tor while we were testing knows why; the next run sees what came of it.
leave_to_others() {
	[ "$(tor_pid)" != "$pid" ] || return 0
	tell STARTING "$why; Tor was restarted or stopped by somebody else meanwhile"
	exit
}

# restart_or_offline REASON: the last two steps. Does not return.
restart_or_offline() {
	tell RESTARTING "$1" || exit 1
	old=$(tor_pid)
	started=$(seconds_up)
	within "$INIT_TIMEOUT" "$TOR" restart || log "$TOR restart failed with code $?"
	wait_for_tor "$old"
	ours=$pid
	pause "$RESTART_WAIT"
	test_until_grown "$started" && healthy
	tried=$(date +%s)
	offline
}

# Does not return.
offline() {
	if [ "$(tor_pid)" = "$ours" ]; then
		tell OFFLINE "Tor is stopped: $why" || exit 1
		within "$INIT_TIMEOUT" "$TOR" stop || log "$TOR stop failed with code $?"
	else
		tell OFFLINE "$why (Tor was restarted by somebody else, and is left running)"
	fi
	exit
}

check_offline() {
	now=$(date +%s)
	pid=$(tor_pid)
	if [ -n "$pid" ]; then
		test_tor && healthy
	fi
	# A clock that was set back must not make this last for years.
	if [ $((now - since)) -ge "$RECOVERY_WAIT" ] || [ "$now" -lt "$since" ]; then
		restart_or_offline "Trying anew after $((now - since)) s offline"
	fi
	if [ -n "$pid" ]; then
		tell OFFLINE "$why (Tor was started by somebody else, and is left running)"
	elif ! within "$INIT_TIMEOUT" "$TOR" enabled; then
		tell STOPPED "Tor is disabled, so it is not started"
	elif [ $((now - tried)) -ge "$OFFLINE_CHECK" ] || [ "$now" -lt "$tried" ]; then
		tried=$now
		tell OFFLINE "Tor is started for a test" || exit 1
		started=$(seconds_up)
		within "$INIT_TIMEOUT" "$TOR" start || log "$TOR start failed with code $?"
		wait_for_tor ''
		ours=$pid
		test_until_grown "$started" && healthy
		offline
	else
		tell OFFLINE "$reason"
	fi
	exit
}

# --- One run ---

mkdir -p "$RUN" /var/log /var/lock
exec 9>"$LOCK"
flock -n 9 || exit 0

version=$(head -n 1 /etc/cbtor/version 2>/dev/null)
asked=
why="no site to ask in $SITES"
configure
recall

if [ ! -x "$TOR" ]; then
	tell STOPPED "Tor is not installed: there is no $TOR"
	exit
fi
[ "$state" != OFFLINE ] || check_offline
if ! choose_site; then
	tell DEGRADED "There is $why"
	exit
fi
asked=

pid=$(tor_pid)
if [ -z "$pid" ]; then
	within "$INIT_TIMEOUT" "$TOR" status
	if [ $? -eq 3 ]; then
		tell STOPPED "Tor was stopped, and not by this script"
		exit
	fi
	# procd starts a Tor that has ended after five seconds, and gives up after six times.
	tell DEGRADED "Tor has ended"
	pause "$NEWNYM_WAIT"
	pid=$(tor_pid)
	[ -n "$pid" ] || restart_or_offline "Tor has ended, and procd does not start it"
fi

age=$(age_of "$pid")
test_tor && healthy
leave_to_others
if [ "$age" -lt "$BOOTSTRAP_WAIT" ]; then
	tell STARTING "$why; Tor has been up for $(age_of "$pid") s"
	exit
fi

tell DEGRADED "$why"
if new_circuits; then
	pause "$NEWNYM_WAIT"
	test_tor && healthy
fi
leave_to_others
restart_or_offline "$why"

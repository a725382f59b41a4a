# What init scripts tell procd. A stand-in: the service is described by files in a directory, which /sbin/init takes over.
# shellcheck shell=dash

PROCD_STATE=/dev/.stand-in/procd
_procd_service=
_procd_dir=
_procd_instance=
_procd_count=0

# Two runs of one init script wait for each other.
procd_lock() {
	local name
	name=$(basename "${basescript:-$initscript}")
	mkdir -p /var/lock
	# shellcheck disable=SC3023 # busybox ash takes any number for a descriptor
	exec 1000>"/var/lock/procd_$name.lock" || return
	flock 1000
}

# Sends a request and returns the code that procd answers: 0, or as ubus has it, 4 for what is not there.
_procd_ask() { # VERB ARGUMENTS
	local reply code
	[ -p "$PROCD_STATE/requests" ] || return 4
	reply=$(mktemp -u "$PROCD_STATE/reply.XXXXXX")
	mkfifo "$reply" || return 4
	echo "$reply $*" >"$PROCD_STATE/requests"
	read -r code <"$reply"
	rm -f "$reply"
	return "${code:-4}"
}

procd_open_service() { # NAME [SCRIPT]
	_procd_service=$1
	_procd_count=0
	_procd_dir=$(mktemp -d "$PROCD_STATE/new.XXXXXX")
}

procd_close_service() {
	_procd_ask set "$_procd_service" "$_procd_dir"
}

procd_open_instance() { # [NAME]
	_procd_count=$((_procd_count + 1))
	_procd_instance=$_procd_dir/${1:-instance$_procd_count}
	mkdir -p "$_procd_instance"
}

procd_close_instance() {
	_procd_instance=
}

# What an init script leaves to the system's configuration.
_procd_respawn() { # NAME DEFAULT
	uci -q get "system.@service[0].respawn_$1" || echo "$2"
}

procd_set_param() { # TYPE VALUES
	local type="$1"
	shift
	[ "$type" != respawn ] || [ $# -gt 0 ] || set -- "$(_procd_respawn threshold 3600)" "$(_procd_respawn timeout 5)" "$(_procd_respawn retry 5)"
	: >"$_procd_instance/$type"
	procd_append_param "$type" "$@"
}

procd_append_param() { # TYPE VALUES
	local type="$1"
	shift
	[ $# -eq 0 ] || printf '%s\n' "$@" >>"$_procd_instance/$type"
}

procd_add_reload_trigger() { # CONFIGS
	printf '%s\n' "$@" >>"$_procd_dir/triggers"
}

procd_kill() { # SERVICE [INSTANCE]
	_procd_ask delete "$@"
}

procd_send_signal() { # SERVICE [INSTANCE|*] [SIGNAL]
	_procd_ask signal "$1" "${3:-HUP}"
}

procd_running() { # SERVICE [INSTANCE]
	local instance
	for instance in "$PROCD_STATE/services/$1"/${2:-*}/; do
		[ "$(cat "$instance/state" 2>/dev/null)" != running ] || return 0
	done
	return 1
}

# Prints what `status` says, and returns its code.
_procd_status() { # SERVICE [INSTANCE]
	local instance state=inactive
	if [ ! -d "$PROCD_STATE/services/$1" ]; then
		echo inactive
		return 3
	fi
	if [ -n "$2" ] && [ ! -d "$PROCD_STATE/services/$1/$2" ]; then
		echo "unknown instance $2"
		return 4
	fi
	state='active with no instances'
	for instance in "$PROCD_STATE/services/$1"/${2:-*}/; do
		[ -d "$instance" ] || continue
		case $(cat "$instance/state" 2>/dev/null) in
		running | pending) echo running && return 0 ;;
		*) state='not running' ;;
		esac
	done
	echo "$state"
	[ "$state" != 'not running' ] || return 5
}

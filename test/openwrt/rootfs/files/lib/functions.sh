# Functions for init and package scripts. A stand-in: what is in use, with the names and results that they have on a box.
# shellcheck shell=dash

config_load() { # PACKAGE
	eval "$(UCI_CONFIG_DIR="${UCI_CONFIG_DIR:-/etc/config}" /sbin/uci -q stand-in-shell "$1")"
}

config_get() { # VARIABLE SECTION OPTION [DEFAULT]
	eval "$1=\${CONFIG_${2}_${3}:-\$4}"
}

config_get_bool() { # VARIABLE SECTION OPTION [DEFAULT]
	local value
	config_get value "$2" "$3" "$4"
	case $value in
	1 | on | true | yes | enabled) value=1 ;;
	0 | off | false | no | disabled) value=0 ;;
	*) value=$4 ;;
	esac
	eval "$1=\$value"
}

config_foreach() { # FUNCTION [TYPE [ARGUMENTS]]
	local function="$1" type="$2" section section_type
	shift
	[ $# -eq 0 ] || shift
	for section in $CONFIG_SECTIONS; do
		eval "section_type=\$CONFIG_${section}_TYPE"
		[ -z "$type" ] || [ "$type" = "$section_type" ] || continue
		"$function" "$section" "$@"
	done
}

config_list_foreach() { # SECTION OPTION FUNCTION [ARGUMENTS]
	local section="$1" option="$2" function="$3" count item
	shift 3
	eval "count=\${CONFIG_${section}_${option}_LENGTH:-0}"
	local index=1
	while [ "$index" -le "$count" ]; do
		eval "item=\$CONFIG_${section}_${option}_ITEM$index"
		"$function" "$item" "$@"
		index=$((index + 1))
	done
}

user_exists() {
	grep -qs "^$1:" "$IPKG_INSTROOT/etc/passwd"
}

group_exists() {
	grep -qs "^$1:" "$IPKG_INSTROOT/etc/group"
}

user_add() { # NAME UID GID [DESCRIPTION [HOME [SHELL]]]
	echo "$1:x:$2:$3:${4:-$1}:${5:-/var/run/$1}:${6:-/bin/false}" >>"$IPKG_INSTROOT/etc/passwd"
	echo "$1:x:0:0:99999:7:::" >>"$IPKG_INSTROOT/etc/shadow"
}

group_add() { # NAME GID
	echo "$1:x:$2:" >>"$IPKG_INSTROOT/etc/group"
}

# What a package's list says of init scripts.
_init_scripts_of() { # PACKAGE
	local list
	for list in "$IPKG_INSTROOT/usr/lib/opkg/info/$1.list" "$IPKG_INSTROOT/lib/apk/packages/$1.list"; do
		[ ! -f "$list" ] || sed -n 's:^/etc/init.d/::p' "$list"
	done
}

# The postinst of every package: its users, as "Require-User: NAME=UID:GROUP=GID" of its control file tells; its init scripts.
default_postinst() { # SCRIPT ARGUMENTS
	local package root="$IPKG_INSTROOT" spec user group control script
	package=$(basename "${1%.*}")
	control=${1%/*}/$package.control
	for spec in $(sed -n 's/^Require-User: //p' "$control" 2>/dev/null); do
		user=${spec%%:*}
		group=${spec#*:}
		group_exists "${group%=*}" || group_add "${group%=*}" "${group#*=}"
		user_exists "${user%=*}" || user_add "${user%=*}" "${user#*=}" "${group#*=}"
	done
	for script in $(_init_scripts_of "$package"); do
		"$root/etc/init.d/$script" enable
		# At the making of an image there is no system that runs.
		[ ! -d /dev/.stand-in/procd ] || "/etc/init.d/$script" start </dev/null >/dev/null 2>&1
	done
	return 0
}

default_prerm() { # SCRIPT ARGUMENTS
	local package script
	package=$(basename "${1%.*}")
	for script in $(_init_scripts_of "$package"); do
		[ ! -d /dev/.stand-in/procd ] || "/etc/init.d/$script" stop </dev/null >/dev/null 2>&1
		"$IPKG_INSTROOT/etc/init.d/$script" disable
	done
	return 0
}

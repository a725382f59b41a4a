# What opkg and apk have in common here. A package is a tar.gz of ./control.tar.gz and ./data.tar.gz; an index and the list of what is
# installed are stanzas of "Key: value" lines with an empty line after each. Whoever uses this sets
#   $status   the file of what is installed
#   $info     the directory of the files NAME.list, NAME.control, NAME.conffiles, NAME.postinst, NAME.prerm
#   $indexes  the directory of the indexes that were fetched, one file for each feed
# shellcheck shell=dash disable=SC2154

# A field of a package in stanza files.
field_of() { # PACKAGE KEY FILES
	local package="$1" key="$2"
	shift 2
	awk -v package="$package" -v key="$key" '
		$1 == "Package:" { is_it = $2 == package }
		is_it && index($0, key ": ") == 1 { print substr($0, length(key) + 3); exit }
	' "$@" 2>/dev/null
}

is_installed() { # PACKAGE
	[ -n "$(field_of "$1" Package "$status")" ]
}

# Fields of a package in the indexes; empty when no feed has it.
available() { # PACKAGE KEY
	set -- "$1" "$2" "$indexes"/*
	[ -f "$3" ] || return 0
	field_of "$@"
}

dependencies_of() { # PACKAGE KEY-OF-WHERE (status|index)
	local list
	if [ "$2" = status ]; then list=$(field_of "$1" Depends "$status"); else list=$(available "$1" Depends); fi
	echo "$list" | tr ',' ' '
}

# The installed packages that need one.
dependents_of() { # PACKAGE
	awk -v package="$1" '
		$1 == "Package:" { name = $2 }
		$1 == "Depends:" {
			list = $0
			gsub(/,/, " ", list)
			count = split(list, words, " ")
			for (i = 2; i <= count; i++) if (words[i] == package) print name
		}
	' "$status"
}

# Fills $order: what must be installed for a package, dependencies first; and $unknown: what no feed has.
plan() { # PACKAGE
	local package="$1" needed
	case " $order " in
	*" $package "*) return ;;
	esac
	! is_installed "$package" || return 0
	if [ -z "$(available "$package" Package)" ]; then
		unknown="$unknown $package"
		return
	fi
	for needed in $(dependencies_of "$package" index); do
		plan "$needed"
	done
	order="$order $package"
}

# Removes a package's stanza.
forget() { # PACKAGE
	awk -v package="$1" '
		$1 == "Package:" { is_it = $2 == package }
		!is_it { print }
	' "$status" >"$status.new" && cat "$status.new" >"$status" && rm -f "$status.new"
}

# Free space of the flash in kB.
free_space() {
	df -k / | awk 'END { print $(NF - 2) }'
}

# Unpacks a package file, keeps conffiles that are there, and writes down what was done.
unpack() { # PACKAGE FILE AUTO(yes|no)
	local package="$1" file="$2" path kept=''
	mkdir -p "$info"
	tar -xzOf "$file" ./control.tar.gz | tar -xzf - -C "$info" ./control || return
	mv "$info/control" "$info/$package.control"
	tar -xzOf "$file" ./control.tar.gz | tar -tzf - | grep -qx ./conffiles &&
		tar -xzOf "$file" ./control.tar.gz | tar -xzOf - ./conffiles >"$info/$package.conffiles"
	tar -xzOf "$file" ./data.tar.gz | tar -tzf - | sed -n '/\/$/d;s:^\./:/:p' >"$info/$package.list"
	for path in $(cat "$info/$package.conffiles" 2>/dev/null); do
		[ -f "$path" ] || continue
		mv "$path" "$path.kept-by-install"
		kept="$kept $path"
	done
	if ! tar -xzOf "$file" ./data.tar.gz | tar -xzf - -C /; then
		erase "$package"
		for path in $kept; do mv "$path.kept-by-install" "$path"; done
		return 1
	fi
	{
		cat "$info/$package.control"
		echo "Status: install user installed"
		[ "$3" = no ] || echo "Auto-Installed: yes"
		echo "Installed-Time: $(date +%s)"
		if [ -f "$info/$package.conffiles" ]; then
			echo "Conffiles:"
			while read -r path; do
				echo " $path $(sha256sum "$path" | cut -d' ' -f1)"
			done <"$info/$package.conffiles"
		fi
		echo
	} >>"$status"
	for path in $kept; do
		if cmp -s "$path.kept-by-install" "$path"; then
			rm "$path.kept-by-install"
		else
			mv "$path" "$path-opkg"
			mv "$path.kept-by-install" "$path"
			echo "Existing conffile $path is different from the conffile in the new package. The new conffile will be placed at $path-opkg."
		fi
	done
	for path in postinst prerm; do
		printf '#!/bin/sh\n. "${IPKG_INSTROOT}/lib/functions.sh"\ndefault_%s "$0" "$@"\n' "$path" >"$info/$package.$path"
		chmod 755 "$info/$package.$path"
	done
}

configure() { # PACKAGE
	"$info/$1.postinst" configure 8>&-
}

# Deletes the files of a package and the directories that are then empty; a conffile that was changed stays.
erase() { # PACKAGE
	local path sum
	for path in $(cat "$info/$1.list"); do
		if grep -qxF "$path" "$info/$1.conffiles" 2>/dev/null; then
			sum=$(sed -n "s:^ $path ::p" "$status" | head -n 1)
			if [ -f "$path" ] && [ "$(sha256sum "$path" | cut -d' ' -f1)" != "$sum" ]; then
				echo "Not deleting modified conffile $path."
				continue
			fi
		fi
		rm -f "$path"
	done
	# Innermost first.
	while IFS= read -r path; do
		while path=${path%/*} && [ -n "$path" ]; do echo "$path"; done
	done <"$info/$1.list" | sort -ru | while IFS= read -r path; do
		is_of_the_system "$path" || rmdir "$path" 2>/dev/null
	done
	rm -f "$info/$1.list" "$info/$1.control" "$info/$1.conffiles" "$info/$1.postinst" "$info/$1.prerm"
}

# Directories that the image itself has stay, also when they are empty.
is_of_the_system() { # PATH
	grep -qxF "$1" /usr/libexec/stand-in/directories
}

remove_package() { # PACKAGE
	"$info/$1.prerm" remove 8>&-
	erase "$1"
	forget "$1"
}

import { command } from '../../ssh/command.ts'

/*
 * What the installer does to files of a box. Every command is a constant for busybox ash as OpenWrt configures it; paths and
 * content come by stdin, a line each, content last.
 */

/**
 * For each path on stdin one line: `absent`, `other` (no regular file), or mode as `ls` writes it, sha256 and content in hex.
 * Hex, because the answer of a command is text and a file is bytes.
 */
export const READ_FILES = command`
while IFS= read -r path; do
  if [ -f "$path" ]; then
    set -- $(ls -lnL "$path") && printf '%s ' "$1" || exit 1
    set -- $(sha256sum <"$path") && printf '%s ' "$1" || exit 1
    hexdump -v -e '1/1 "%02x"' "$path" || exit 1
    echo
  elif [ -e "$path" ]; then echo other
  else echo absent
  fi
done`

/** Exit codes of WRITE_FILE that are told apart. */
export const WRITE_INCOMPLETE = 21
export const WRITE_CHANGED = 22

/**
 * stdin: path, mode, sha256 that the file has now (or `absent`), sha256 of the content, two paths for copies of what is there
 * now (`-` for none), content. All or nothing: whoever reads the file sees the old one or the new one, and two that write it do not
 * get into each other's way. What is left of a writer that was killed goes: its name says of which process it was.
 */
export const WRITE_FILE = command`
umask 077
IFS= read -r path && IFS= read -r mode && IFS= read -r from && IFS= read -r sha || exit 20
IFS= read -r first && IFS= read -r second || exit 20
[ ! -L "$path" ] || path=$(readlink -f "$path")
for left in "$path".cbtor-new.*; do kill -0 "\${left##*.}" 2>/dev/null || rm -f "$left"; done
new="$path.cbtor-new.$$"
fail() { rm -f "$new"; exit "$1"; }
cat >"$new" || fail 1
set -- $(sha256sum <"$new")
[ "$1" = "$sha" ] || fail 21
now=absent
if [ -f "$path" ]; then set -- $(sha256sum <"$path"); now=$1; fi
[ "$now" = "$from" ] || fail 22
for copy in "$first" "$second"; do
  [ "$copy" != - ] || continue
  mkdir -p "$(dirname "$copy")" && cp -p "$path" "$copy.new" && mv "$copy.new" "$copy" || { rm -f "$copy.new"; fail 1; }
done
chmod "$mode" "$new" && mv "$new" "$path" || fail 1`

/** stdin: pairs of lines, a file and where to put a copy of it. A file that is not there is passed over. */
export const COPY_FILES = command`
umask 077
while IFS= read -r path && IFS= read -r copy; do
  [ -f "$path" ] || continue
  mkdir -p "$(dirname "$copy")" && cp -p "$path" "$copy.new" && mv "$copy.new" "$copy" || exit 1
done`

/** stdin: a file, and the copy that becomes it, with its mode and times. */
export const RESTORE_FILE = command`
IFS= read -r path && IFS= read -r copy || exit 20
[ ! -L "$path" ] || path=$(readlink -f "$path")
new="$path.cbtor-new.$$"
cp -p "$copy" "$new" && mv "$new" "$path" || { rm -f "$new"; exit 1; }`

/** stdin: files to remove. */
export const REMOVE_FILES = command`
while IFS= read -r path; do rm -f "$path" "$path.cbtor-new"* || exit 1; done`

/** stdin: directories, parents first. Prints those that are not there. */
export const MISSING_DIRECTORIES = command`
while IFS= read -r path; do [ -d "$path" ] || echo "$path"; done`

/** stdin: directories, parents first. */
export const MAKE_DIRECTORIES = command`
umask 022
while IFS= read -r path; do [ -d "$path" ] || mkdir "$path" || [ -d "$path" ] || exit 1; done`

/** stdin: directories, children first. One that is not empty stays. */
export const REMOVE_EMPTY_DIRECTORIES = command`
while IFS= read -r path; do rmdir "$path" 2>/dev/null; done
true`

export const LIST_TORRC_DIRECTORY = command`ls /etc/tor/torrc.d 2>/dev/null; true`

/** What the journal and its copies leave in /etc/cbtor when all else has been taken back. */
export const REMOVE_JOURNAL = command`
rm -rf /etc/cbtor/backup /etc/cbtor/before && rm -f /etc/cbtor/install.json /etc/cbtor/install.json.cbtor-new* && sync
rm -f /var/lock/cbtor-install /var/lock/cbtor-install.lock`

/** The copies of one run, which is over. */
export const REMOVE_COPIES_OF_RUN = command`rm -rf /etc/cbtor/before && sync`

# UCI in awk; see /sbin/uci. Of a package p, which is read when it is first needed:
#   sections[p], and of its section number s (in the order of the file): name[p,s], type[p,s], anonymous[p,s]
#   options[p,s], and of its option number o: option[p,s,o], and items[p,s,o]: 0 for a plain value, or the length of a list
#   value[p,s,o] or value[p,s,o,1], value[p,s,o,2] …
# A section or option that has been deleted has an empty name.

BEGIN {
	config_dir = ENVIRON["UCI_CONFIG_DIR"]
	save_dir = ENVIRON["UCI_SAVE_DIR"]
	APOSTROPHE = "'"
	code = 0
	n = 0
	for (i = 1; i < ARGC; i++) {
		if (n == 0 && ARGV[i] ~ /^-/) {
			take_flag(ARGV[i])
			if (ARGV[i] ~ /^-[cdfLpPt]$/) {
				i++
				if (ARGV[i - 1] == "-c") config_dir = ARGV[i]
				if (ARGV[i - 1] == "-d") delimiter = ARGV[i]
				if (ARGV[i - 1] == "-f") input = ARGV[i]
				if (ARGV[i - 1] == "-t") save_dir = ARGV[i]
			}
			continue
		}
		words[++n] = ARGV[i]
	}
	if (n == 0) usage()
	if (words[1] == "batch") batch()
	else run()
	exit code
}

function take_flag(flag) {
	if (flag == "-q") is_quiet = 1
	else if (flag == "-X") shows_names = 1
	else if (flag == "-m") is_merge = 1
	else if (flag !~ /^-[cdfLnNpPsSt]$/) usage()
}

function usage() {
	print "Usage: uci [<options>] <command> [<arguments>]" > "/dev/stderr"
	exit 255
}

function fail(message) {
	if (!is_quiet) print "uci: " message > "/dev/stderr"
	code = 1
	return 0
}

# ---- one command, in words[1..n]

function run(    c) {
	c = words[1]
	if (c == "get") get(words[2])
	else if (c == "set") assign(words[2])
	else if (c == "add") add(words[2], words[3])
	else if (c == "add_list") add_list(words[2])
	else if (c == "del_list") del_list(words[2])
	else if (c == "delete" || c == "del") del(words[2])
	else if (c == "rename") rename(words[2])
	else if (c == "reorder") reorder(words[2])
	else if (c == "show") each_package("show", words[2])
	else if (c == "export") each_package("export", words[2])
	else if (c == "changes") each_package("changes", words[2])
	else if (c == "commit") each_package("commit", words[2])
	else if (c == "revert") revert(words[2])
	else if (c == "import") import(words[2])
	else if (c == "stand-in-shell") shell(words[2])
	else usage()
}

function batch(    line, from) {
	from = input == "" ? "/dev/stdin" : input
	while ((getline line < from) > 0) {
		n = split_words(line)
		if (n < 0) fail("Parse error")
		else if (n > 0) run()
	}
}

# Splits a line as a shell would (quotes, backslashes, comments) into words[]; -1 when a quote is left open.
function split_words(line,    at, c, quote, word, has, count) {
	count = 0
	word = ""
	has = 0
	quote = ""
	for (at = 1; at <= length(line); at++) {
		c = substr(line, at, 1)
		if (quote != "") {
			if (c == quote) quote = ""
			else if (c == "\\" && quote == "\"") word = word substr(line, ++at, 1)
			else word = word c
		} else if (c == APOSTROPHE || c == "\"") {
			quote = c
			has = 1
		} else if (c == "\\") {
			word = word substr(line, ++at, 1)
			has = 1
		} else if (c == " " || c == "\t" || c == "\r") {
			if (has) words[++count] = word
			word = ""
			has = 0
		} else if (c == "#" && !has) break
		else {
			word = word c
			has = 1
		}
	}
	if (quote != "") return -1
	if (has) words[++count] = word
	for (at = count + 1; at in words; at++) delete words[at]
	return count
}

# ---- names: package[.section[.option]][=value] into p, s (its number), S (as written), O, V, has_value

function parse(text, needs_section,    at, rest) {
	p = ""; s = 0; S = ""; O = ""; V = ""; has_value = 0
	at = index(text, "=")
	if (at > 0) {
		V = substr(text, at + 1)
		text = substr(text, 1, at - 1)
		has_value = 1
	}
	at = index(text, ".")
	p = at ? substr(text, 1, at - 1) : text
	rest = at ? substr(text, at + 1) : ""
	if (p !~ /^[A-Za-z0-9_-]+$/) return fail("Invalid argument")
	at = index(rest, ".")
	S = at ? substr(rest, 1, at - 1) : rest
	O = at ? substr(rest, at + 1) : ""
	if (needs_section && S == "") return fail("Invalid argument")
	if (S != "" && S !~ /^(@[A-Za-z0-9_-]+\[-?[0-9]+\]|[A-Za-z0-9_]+)$/) return fail("Invalid argument")
	if (O != "" && O !~ /^[A-Za-z0-9_]+$/) return fail("Invalid argument")
	if (!load(p)) return 0
	s = S == "" ? 0 : find(p, S)
	if (s) S = name[p, s]
	return 1
}

function find(p, text,    s, t, k, seen, last) {
	if (text !~ /^@/) {
		for (s = 1; s <= sections[p]; s++) if (name[p, s] == text) return s
		return 0
	}
	t = substr(text, 2, index(text, "[") - 2)
	k = substr(text, index(text, "[") + 1) + 0
	if (k < 0) {
		for (s = 1; s <= sections[p]; s++) if (name[p, s] != "" && type[p, s] == t) k++
		if (k < 0) return 0
	}
	seen = 0
	for (s = 1; s <= sections[p]; s++) if (name[p, s] != "" && type[p, s] == t && seen++ == k) return s
	return 0
}

function find_option(p, s, o,    i) {
	for (i = 1; i <= options[p, s]; i++) if (option[p, s, i] == o) return i
	return 0
}

# ---- reading

function load(p,    file, line, number) {
	if (p in sections) return 1
	file = config_dir "/" p
	number = (getline line < file)
	if (number < 0) return fail("Entry not found")
	sections[p] = 0
	if (number > 0 && !read_config(p, file, line)) {
		close(file)
		delete sections[p]
		return 0
	}
	close(file)
	read_delta(p)
	return 1
}

function read_config(p, file, line,    number, s, more) {
	number = 0
	s = 0
	do {
		number++
		# A quoted value may go over several lines.
		while ((n_file = split_line(line)) < 0 && (getline more < file) > 0) {
			number++
			line = line "\n" more
		}
		if (n_file < 0) return fail("Parse error (unterminated ') at line " number ", byte 1")
		if (n_file == 0 || token[1] == "package") continue
		if (token[1] == "config" && (n_file == 2 || n_file == 3)) {
			# A named section that comes again adds to the first one.
			s = n_file == 3 && token[3] != "" ? find(p, token[3]) : 0
			if (!s) s = new_section(p, token[2], token[3])
		} else if (token[1] == "option" && s && n_file == 3) put(p, s, token[2], token[3])
		else if (token[1] == "list" && s && n_file == 3) push(p, s, token[2], token[3])
		else return fail("Parse error (invalid command) at line " number ", byte 1")
	} while ((getline line < file) > 0)
	return 1
}

function split_line(line,    count, i, kept, kept_n) {
	for (i in token) delete token[i]
	kept_n = n
	for (i = 1; i <= kept_n; i++) kept[i] = words[i]
	count = split_words(line)
	for (i = 1; i <= count; i++) token[i] = words[i]
	for (i in words) delete words[i]
	for (i = 1; i <= kept_n; i++) words[i] = kept[i]
	return count
}

function new_section(p, t, given,    s) {
	s = ++sections[p]
	type[p, s] = t
	options[p, s] = 0
	anonymous[p, s] = given == ""
	name[p, s] = given == "" ? made_up_name(p, s, t) : given
	return s
}

# As the real one: cfg, the position, and a hash that keeps it apart.
function made_up_name(p, s, t,    hash, i) {
	hash = 5381
	for (i = 1; i <= length(t); i++) hash = (hash * 33 + index("abcdefghijklmnopqrstuvwxyz0123456789_-", substr(t, i, 1))) % 65536
	return sprintf("cfg%02x%04x", s + 1, hash)
}

function put(p, s, o, v,    i) {
	i = find_option(p, s, o)
	if (!i) i = ++options[p, s]
	option[p, s, i] = o
	items[p, s, i] = 0
	value[p, s, i] = v
}

function push(p, s, o, v,    i) {
	i = find_option(p, s, o)
	if (!i) {
		i = ++options[p, s]
		option[p, s, i] = o
		items[p, s, i] = 0
	} else if (items[p, s, i] == 0) {
		items[p, s, i] = 1
		value[p, s, i, 1] = value[p, s, i]
	}
	value[p, s, i, ++items[p, s, i]] = v
}

function pull(p, s, o, v,    i, k, kept) {
	i = find_option(p, s, o)
	if (!i) return
	if (items[p, s, i] == 0) {
		if (value[p, s, i] == v) option[p, s, i] = ""
		return
	}
	kept = 0
	for (k = 1; k <= items[p, s, i]; k++) if (value[p, s, i, k] != v) value[p, s, i, ++kept] = value[p, s, i, k]
	items[p, s, i] = kept
	if (kept == 0) option[p, s, i] = ""
}

# ---- changes that wait for a commit: one a line, an operator, then package.section[.option]='value'

function read_delta(p,    file, line) {
	file = save_dir "/" p
	while ((getline line < file) > 0) apply(p, line)
	close(file)
}

function apply(p, line,    operator, at, path, v, part, s, o, count) {
	operator = ""
	if (line ~ /^[-+|~@^]/) {
		operator = substr(line, 1, 1)
		line = substr(line, 2)
	}
	at = index(line, "=")
	path = at ? substr(line, 1, at - 1) : line
	v = at ? substr(line, at + 1) : ""
	if (v ~ /^'.*'$/) v = unquote(v)
	count = split(path, part, ".")
	o = part[3]
	s = find(p, part[2])
	if (operator == "+") {
		s = new_section(p, v, "")
		name[p, s] = part[2]
	} else if (operator == "-") {
		if (!s) return
		if (count == 2) name[p, s] = ""
		else if (find_option(p, s, o)) option[p, s, find_option(p, s, o)] = ""
	} else if (operator == "|") push(p, s, o, v)
	else if (operator == "~") pull(p, s, o, v)
	else if (operator == "@") {
		if (count == 2) {
			name[p, s] = v
			anonymous[p, s] = 0
		} else option[p, s, find_option(p, s, o)] = v
	} else if (operator == "^") move(p, s, v)
	else if (count == 2) {
		if (s) type[p, s] = v
		else new_section(p, v, part[2])
	} else if (s) put(p, s, o, v)
}

function change(p, line) {
	apply(p, line)
	if (!made_dir++) system("mkdir -p '" save_dir "'")
	print line >> (save_dir "/" p)
	if (close(save_dir "/" p) != 0) fail("I/O error")
}

function quote(v,    out, at) {
	out = ""
	while ((at = index(v, APOSTROPHE)) > 0) {
		out = out substr(v, 1, at - 1) APOSTROPHE "\\" APOSTROPHE APOSTROPHE
		v = substr(v, at + 1)
	}
	return APOSTROPHE out v APOSTROPHE
}

function unquote(v) {
	v = substr(v, 2, length(v) - 2)
	gsub(/'\\''/, APOSTROPHE, v)
	return v
}

# ---- commands

function get(path,    i, k, out) {
	if (!parse(path, 1)) return
	if (!s) return fail("Entry not found")
	if (O == "") {
		print type[p, s]
		return
	}
	i = find_option(p, s, O)
	if (!i) return fail("Entry not found")
	print joined(p, s, i, delimiter == "" ? " " : delimiter, 0)
}

function joined(p, s, i, between, quoted,    k, out) {
	if (items[p, s, i] == 0) return quoted ? quote(value[p, s, i]) : value[p, s, i]
	out = ""
	for (k = 1; k <= items[p, s, i]; k++)
		out = out (k > 1 ? between : "") (quoted ? quote(value[p, s, i, k]) : value[p, s, i, k])
	return out
}

function assign(path) {
	if (!parse(path, 1)) return
	if (!has_value) return fail("Invalid argument")
	if (V ~ /\n/) return fail("Invalid argument")
	if (O == "") {
		if (V !~ /^[A-Za-z0-9_-]+$/ || S ~ /^@/) return fail("Invalid argument")
		change(p, p "." S "=" quote(V))
	} else if (!s) fail("Invalid argument")
	else if (V == "") {
		if (find_option(p, s, O)) change(p, "-" p "." S "." O)
	} else change(p, p "." S "." O "=" quote(V))
}

function add(package, t,    made, s) {
	if (!parse(package, 0)) return
	if (t !~ /^[A-Za-z0-9_-]+$/) return fail("Invalid argument")
	made = made_up_name(p, sections[p] + 1, t)
	change(p, "+" p "." made "=" quote(t))
	print made
}

function add_list(path) {
	if (!parse(path, 1)) return
	if (!s || O == "" || !has_value || V == "") return fail("Invalid argument")
	change(p, "|" p "." S "." O "=" quote(V))
}

function del_list(path) {
	if (!parse(path, 1)) return
	if (!s || O == "" || !has_value) return fail("Invalid argument")
	if (find_option(p, s, O)) change(p, "~" p "." S "." O "=" quote(V))
}

function del(path) {
	if (!parse(path, 1)) return
	if (!s || (O != "" && !find_option(p, s, O))) return fail("Entry not found")
	change(p, "-" p "." S (O == "" ? "" : "." O))
}

function rename(path) {
	if (!parse(path, 1)) return
	if (!s || V !~ /^[A-Za-z0-9_]+$/ || (O != "" && !find_option(p, s, O))) return fail("Invalid argument")
	change(p, "@" p "." S (O == "" ? "" : "." O) "=" quote(V))
}

function reorder(path) {
	if (!parse(path, 1)) return
	if (!s || O != "" || V !~ /^[0-9]+$/) return fail("Invalid argument")
	change(p, "^" p "." S "=" quote(V))
}

# Moves a section to a place, 0 being the first. The others keep their order.
function move(p, s, place,    order, count, i, k, moved) {
	count = 0
	for (i = 1; i <= sections[p]; i++) if (name[p, i] != "" && i != s) order[count++] = i
	for (i = count; i > place; i--) order[i] = order[i - 1]
	order[place > count ? count : place + 0] = s
	for (i = 0; i <= count; i++) copy_section(p, order[i], "moved", i + 1)
	for (i = 1; i <= count + 1; i++) copy_section("moved", i, p, i)
	sections[p] = count + 1
}

function copy_section(p, s, q, t,    i, k) {
	name[q, t] = name[p, s]
	type[q, t] = type[p, s]
	anonymous[q, t] = anonymous[p, s]
	options[q, t] = options[p, s]
	for (i = 1; i <= options[p, s]; i++) {
		option[q, t, i] = option[p, s, i]
		items[q, t, i] = items[p, s, i]
		value[q, t, i] = value[p, s, i]
		for (k = 1; k <= items[p, s, i]; k++) value[q, t, i, k] = value[p, s, i, k]
	}
}

function each_package(what, path,    list, line, count, i) {
	if (path != "") {
		one(what, path)
		return
	}
	count = 0
	list = "ls " (what == "changes" || what == "commit" ? save_dir : config_dir) " 2>/dev/null"
	while ((list | getline line) > 0) packages[++count] = line
	close(list)
	for (i = 1; i <= count; i++) if (packages[i] ~ /^[A-Za-z0-9_-]+$/) one(what, packages[i])
}

function one(what, path) {
	if (!parse(path, 0)) return
	if (what == "show") show()
	else if (what == "export") print_config(p, "/dev/stdout", 1)
	else if (what == "changes") changes(p)
	else if (what == "commit") commit(p)
}

function shown_name(p, s,    i, k) {
	if (!anonymous[p, s] || shows_names) return name[p, s]
	k = 0
	for (i = 1; i < s; i++) if (name[p, i] != "" && type[p, i] == type[p, s]) k++
	return "@" type[p, s] "[" k "]"
}

function show(    i, k) {
	if (S == "") {
		for (k = 1; k <= sections[p]; k++) if (name[p, k] != "") show_section(p, k)
		return
	}
	if (!s) return fail("Entry not found")
	if (O == "") return show_section(p, s)
	i = find_option(p, s, O)
	if (!i) return fail("Entry not found")
	print p "." shown_name(p, s) "." O "=" joined(p, s, i, " ", 1)
}

function show_section(p, s,    i, prefix) {
	prefix = p "." shown_name(p, s)
	print prefix "=" type[p, s]
	for (i = 1; i <= options[p, s]; i++)
		if (option[p, s, i] != "") print prefix "." option[p, s, i] "=" joined(p, s, i, " ", 1)
	return 1
}

function print_config(p, file, has_header,    k, i, j) {
	if (has_header) printf "package %s\n", p > file
	else printf "" > file
	for (k = 1; k <= sections[p]; k++) {
		if (name[p, k] == "") continue
		printf "\nconfig %s%s\n", type[p, k], anonymous[p, k] ? "" : " " quote(name[p, k]) > file
		for (i = 1; i <= options[p, k]; i++) {
			if (option[p, k, i] == "") continue
			if (items[p, k, i] == 0) printf "\toption %s %s\n", option[p, k, i], quote(value[p, k, i]) > file
			for (j = 1; j <= items[p, k, i]; j++) printf "\tlist %s %s\n", option[p, k, i], quote(value[p, k, i, j]) > file
		}
	}
	printf "\n" > file
}

function changes(p,    file, line) {
	file = save_dir "/" p
	while ((getline line < file) > 0) {
		if (line ~ /^\|/) {
			sub(/^\|/, "", line)
			sub(/=/, "+=", line)
		} else if (line ~ /^~/) {
			sub(/^~/, "", line)
			sub(/=/, "-=", line)
		} else if (line ~ /^\+/) sub(/^\+/, "", line)
		print line
	}
	close(file)
}

function commit(p,    file, line, has) {
	file = save_dir "/" p
	has = (getline line < file)
	close(file)
	if (has <= 0) return
	write_config(p)
	system("rm -f '" file "'")
}

function write_config(p,    file, next_file) {
	file = config_dir "/" p
	next_file = config_dir "/." p ".uci-new"
	# First a copy, for the mode.
	system("cp -p '" file "' '" next_file "' 2>/dev/null")
	print_config(p, next_file, 0)
	if (close(next_file) != 0 || system("mv '" next_file "' '" file "'") != 0) fail("I/O error")
}

function revert(path,    file, line, kept, count, i, prefix) {
	if (!parse(path, 0)) return
	file = save_dir "/" p
	if (S == "") {
		system("rm -f '" file "'")
		delete sections[p]
		return
	}
	prefix = p "." S (O == "" ? "" : "." O)
	count = 0
	while ((getline line < file) > 0)
		if (line !~ /^[-+|~@^]?[A-Za-z]/ || !concerns(line, prefix)) kept[++count] = line
	close(file)
	printf "" > file
	for (i = 1; i <= count; i++) print kept[i] > file
	close(file)
	delete sections[p]
}

function concerns(line, prefix) {
	sub(/^[-+|~@^]/, "", line)
	return index(line, prefix) == 1 && substr(line, length(prefix) + 1) ~ /^(\.|=|$)/
}

function import(package,    line, from, s, first) {
	from = input == "" ? "/dev/stdin" : input
	p = package
	first = (getline line < from)
	if (first > 0 && p == "" && split_line(line) == 2 && token[1] == "package") p = token[2]
	if (p !~ /^[A-Za-z0-9_-]+$/) return fail("Invalid argument")
	if (!is_merge || !load(p)) sections[p] = 0
	code = 0
	if (first > 0 && !read_config(p, from, line)) return
	write_config(p)
	system("rm -f '" save_dir "/" p "'")
}

# For config_load of /lib/functions.sh: assignments for the shell.
function shell(package,    k, i, j, list, prefix) {
	if (!parse(package, 0)) {
		print "CONFIG_SECTIONS=; false"
		return
	}
	for (k = 1; k <= sections[p]; k++) {
		if (name[p, k] == "") continue
		list = list " " name[p, k]
		prefix = "CONFIG_" name[p, k] "_"
		print prefix "TYPE=" quote(type[p, k])
		for (i = 1; i <= options[p, k]; i++) {
			if (option[p, k, i] == "") continue
			print prefix option[p, k, i] "=" quote(joined(p, k, i, " ", 0))
			if (items[p, k, i] > 0) print prefix option[p, k, i] "_LENGTH=" items[p, k, i]
			for (j = 1; j <= items[p, k, i]; j++) print prefix option[p, k, i] "_ITEM" j "=" quote(value[p, k, i, j])
		}
	}
	print "CONFIG_SECTIONS=" quote(substr(list, 2))
}

#!/usr/bin/env bash
# What the build promises: hardened programs, the same bytes wherever and however they are built, no
# warning of gcc or clang, and programs of each that work, linked dynamically and statically. Builds
# in a directory of its own. Needs gcc, binutils, openssl, curl, libcmocka-dev, and clang.
# usage: tests/build/run.sh
# shellcheck disable=SC2317 # most functions are called by check
set -u -o pipefail

cd "$(dirname "$0")/../.." || exit 1
# Called by make, but the builds below are their own.
unset MAKEFLAGS MFLAGS MAKELEVEL
work=$(mktemp -d "${TMPDIR:-/var/tmp}/mta-stsd-build.XXXXXX")
# What a server of another user reads lies there.
chmod 755 "$work"
server=
passed=0 failed=0 skipped=0
host=mta-sts.example.com
programs='mta-stsd mta-sts-check mta-sts-report'
# The other build's place, and what else must not matter.
here=$work/a
there=$work/another/place/with/a/longer/name
if [ -z "${MTA_STS_VECTORS:-}" ] && [ -d ../shared/vectors ]; then
	MTA_STS_VECTORS=$(cd ../shared/vectors && pwd)
	export MTA_STS_VECTORS
fi

finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

# check NAME COMMAND...: its output is shown when it fails.
check() {
	local name=$1
	shift
	if "$@" >"$work/output" 2>&1; then
		passed=$((passed + 1))
		echo "ok: $name"
	else
		failed=$((failed + 1))
		echo "FAILED: $name"
		tail -n 30 "$work/output" | sed 's/^/    /'
		return 1
	fi
}

skip() {
	skipped=$((skipped + 1))
	echo "skipped: $1"
}

end() {
	echo "$passed passed, $failed failed, $skipped skipped"
	[ $failed -eq 0 ]
	exit
}

fails() { ! "$@"; }
# finds_nothing PATTERN FILE: shows what it finds.
finds_nothing() { fails grep -E -- "$1" "$2"; }

# Builds.

# Other tests may be running in this tree.
copy_sources() {
	mkdir -p "$1" && {
		git ls-files -z --cached --others --exclude-standard 2>/dev/null ||
			find . -path ./build -prune -o -type f -print0
	} | tar --null --ignore-failed-read -T - -c | tar -x -C "$1"
}

# build DIRECTORY LOG ARGUMENT...: of make, in that copy of the sources.
build() {
	local directory=$1 log=$work/$2
	shift 2
	if ! make -C "$directory" "$@" >"$log" 2>&1; then
		tail -n 20 "$log"
		return 1
	fi
}

no_warning() { finds_nothing '[Ww]arning' "$work/$1"; }

# Every object was compiled with what the platform has against mistakes.
has_flags() {
	local compiled=$work/compiled flag
	grep -E ' -c -o ' "$work/$1" >"$compiled" || return 1
	for flag in -fPIE -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2; do
		fails grep -v -e " $flag " "$compiled" || return 1
	done
}

# The same sources elsewhere, with other times, by another user's habits, one job at a time.
build_there() (
	copy_sources "$there" || return 1
	find "$there" -type f -exec touch -d 2001-02-03 {} +
	umask 077
	export TZ=Pacific/Chatham LC_ALL=C LANG=C USER=somebody HOME=/
	build "$there" there -j1 BUILD=out/of/the/way all &&
		build "$there" there-static -j1 BUILD=out/static STATIC=1 out/static/mta-stsd
)

# same_bytes FILE FILE: shows which sections differ.
same_bytes() {
	cmp "$1" "$2" && return
	diff <(sections "$1") <(sections "$2")
	return 1
}
sections() {
	local name
	readelf -SW "$1" | sed -n 's/^ *\[ *[0-9]*\] \(\.[^ ]*\) .*/\1/p' | while read -r name; do
		echo "$name $(objcopy -O binary --only-section="$name" "$1" /dev/stdout 2>/dev/null | cksum)"
	done
}

# Programs.

headers() { readelf -hlWd "$1" >"$work/headers"; }
is_pie() {
	headers "$1" && grep -q 'Type: *DYN' "$work/headers" && grep -q 'Flags:.* PIE' "$work/headers"
}
has_full_relro() {
	headers "$1" && grep -q GNU_RELRO "$work/headers" && grep -q 'Flags:.* NOW' "$work/headers"
}
has_no_code_to_write() {
	headers "$1" && grep -q 'GNU_STACK .* RW ' "$work/headers" &&
		finds_nothing ' RWE ' "$work/headers" && finds_nothing TEXTREL "$work/headers"
}
has_no_path() { headers "$1" && finds_nothing 'RPATH|RUNPATH' "$work/headers"; }
has_canaries() { nm -D "$1" | grep -w __stack_chk_fail; }
is_fortified() { nm -D "$1" | grep -E ' U __[a-z]+_chk(@|$)'; }
stands_alone() { headers "$1" && finds_nothing 'INTERP|NEEDED' "$work/headers"; }
is_stripped() { readelf -SW "$1" | fails grep -E '\.(symtab|debug_)'; }

# harden NAME FILE: for all kinds of program.
harden() {
	check "$1: position-independent" is_pie "$2"
	check "$1: full RELRO" has_full_relro "$2"
	check "$1: nothing can be written and run, and no text relocations" has_no_code_to_write "$2"
	check "$1: no RPATH, no RUNPATH" has_no_path "$2"
}

# harden_dynamic CC DIRECTORY
harden_dynamic() {
	local program
	for program in $programs; do
		harden "$1: $program" "$2/$program"
		check "$1: $program: stack canaries" has_canaries "$2/$program"
		check "$1: $program: fortified" is_fortified "$2/$program"
	done
}

harden_static() {
	harden "$1: static mta-stsd" "$2"
	check "$1: static mta-stsd: needs no loader and no library" stands_alone "$2"
	check "$1: static mta-stsd: stripped" is_stripped "$2"
}

# Its libraries are those that it says.
names_its_library() {
	local said file
	said=$("$1" --version | sed -n 's/.*[Mm]bed TLS \([0-9.]*\).*/\1/p')
	file=$(readlink -f "$(ldd "$1" | sed -n 's/.*libmbedtls[^ ]* => \([^ ]*\) .*/\1/p')")
	echo "says $said, has $file"
	[ -n "$said" ] && [ "${file%".$said"}" != "$file" ]
}

# A configuration, and a server of it.

make_etc() {
	certs-example/make-certs.sh "$work/etc" "$host" && cp config/mta-stsd.ini "$work/etc" &&
		chmod 755 "$work/etc" && {
		printf '[server]\nlisten = 127.0.0.1:0\nmax_connections = 100\nworkers = 1\n'
		printf 'certificate = fullchain.pem\nprivate_key = privkey.pem\n'
		[ "$(id -u)" != 0 ] || echo 'user = 65534:65534'
		sed -n '/^\[policy\]/,$p' config/mta-stsd.ini
	} >"$work/etc/serve.ini" &&
		printf '%s\r\n' 'version: STSv1' 'mode: testing' 'mx: mail.example.com' \
			'mx: backup.example.net' 'max_age: 1209600' >"$work/expected"
}

# prints_the_same PROGRAM PROGRAM
prints_the_same() {
	"$1" -c "$work/etc/mta-stsd.ini" --print-dns >"$work/dns" && grep -q '"v=STSv1; id=' "$work/dns" &&
		"$2" -c "$work/etc/mta-stsd.ini" --print-dns | diff "$work/dns" -
}

runs() {
	"$1/mta-stsd" --version && "$1/mta-sts-check" --version && "$1/mta-sts-report" --version &&
		"$1/mta-stsd" -c "$work/etc/mta-stsd.ini" --check
}

# Waits for a line in the log of a server that runs.
wait_for_port() {
	local deadline=$((SECONDS + 20))
	until grep -q ' event=ready ' "$work/log"; do
		kill -0 "$server" && [ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.1
	done
	port=$(sed -n 's/.* event=listening address=127\.0\.0\.1:\([0-9]*\)$/\1/p' "$work/log")
}

fetch() {
	curl -sS --max-time 10 --noproxy '*' --cacert "$work/etc/ca.pem" -o "$work/body" \
		--resolve "$host:$port:127.0.0.1" "https://$host:$port/.well-known/mta-sts.txt" &&
		cmp "$work/body" "$work/expected"
}

# serves PROGRAM: the policy, and ends when it is told to.
serves() {
	local result=0 port
	: >"$work/log"
	"$1" -c "$work/etc/serve.ini" >>"$work/log" 2>&1 &
	server=$!
	wait_for_port && fetch || result=1
	kill -TERM "$server"
	wait "$server" || result=1
	server=
	cat "$work/log"
	return "$result"
}

pass_unit_tests() {
	local program count=0
	for program in "$1"/tests/test_*; do
		[ -x "$program" ] || continue
		"$program" || return 1
		count=$((count + 1))
	done
	[ "$count" -gt 10 ]
}

# prove CC: what is built and how it is, in $here/CC and $here/CC-static.
prove() {
	local cc=$1 dynamic=$here/$1 static=$here/$1-static/mta-stsd
	check "$cc: builds all programs and unit tests" \
		build "$here" "$cc" -j2 CC="$cc" BUILD="$cc" all test-programs || return
	check "$cc: without a warning" no_warning "$cc"
	check "$cc: every object with the hardening flags" has_flags "$cc"
	check "$cc: builds a static mta-stsd" \
		build "$here" "$cc-static" -j2 CC="$cc" BUILD="$cc-static" STATIC=1 "$cc-static/mta-stsd" || return
	check "$cc: static: without a warning" no_warning "$cc-static"
	check "$cc: static: every object with the hardening flags" has_flags "$cc-static"
	harden_dynamic "$cc" "$dynamic"
	harden_static "$cc" "$static"
	check "$cc: mta-stsd has the Mbed TLS that it names" names_its_library "$dynamic/mta-stsd"
	check "$cc: the programs run" runs "$dynamic"
	check "$cc: mta-stsd serves" serves "$dynamic/mta-stsd"
	check "$cc: static mta-stsd serves" serves "$static"
	check "$cc: unit tests" pass_unit_tests "$dynamic"
}

check "a copy of the sources" copy_sources "$here" || end
check "a configuration" make_etc || end
prove gcc
echo "built with $("$here/gcc/mta-stsd" --version)"
if check "gcc: builds in another place" build_there; then
	for program in $programs; do
		check "gcc: $program: the same bytes" same_bytes "$here/gcc/$program" "$there/out/of/the/way/$program"
	done
	check "gcc: static mta-stsd: the same bytes" \
		same_bytes "$here/gcc-static/mta-stsd" "$there/out/static/mta-stsd"
fi
if command -v clang >/dev/null; then
	prove clang
	check "clang and gcc print the same DNS records" \
		prints_the_same "$here/gcc/mta-stsd" "$here/clang/mta-stsd"
else
	skip "clang: there is none here"
fi
end

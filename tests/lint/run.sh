#!/bin/sh
# Everything that can be said against the sources without running them. Each check runs; the exit
# code says whether all were silent. A tool that is missing is an error: lint means lint.
set -u

cd "$(dirname "$0")/../.." || exit 1
# Called by make, but the builds below are their own.
unset MAKEFLAGS MFLAGS MAKELEVEL
FUNCTION_LINES_MAX=60
FILE_LINES_MAX=450
jobs=$(nproc)
output=$(mktemp)
trap 'rm -f "$output"' EXIT
failed=0

# check NAME COMMAND...: silent and with exit code 0, or it has found something.
check() {
	name=$1
	shift
	if "$@" >"$output" 2>&1 && [ ! -s "$output" ]; then
		echo "lint: $name: ok"
	else
		cat "$output"
		echo "lint: $name: FAILED"
		failed=$((failed + 1))
	fi
}

# Command and Debian package.
tools='clang-format clang-format
clang-tidy clang-tidy
clang clang
gcc gcc
make make
cppcheck cppcheck
shellcheck shellcheck
mandoc mandoc
pkg-config pkgconf
git git
/usr/bin/python3 python3'

missing_tools() {
	echo "$tools" | while read -r tool package; do
		command -v "$tool" >/dev/null || echo "there is no $tool: apt-get install $package"
	done
}

c_files() {
	printf '%s\n' ./*.c check/*.c report/*.c tests/unit/*.c tests/fuzz/*.c tests/faults/*.c bench/*.c
}

# The load client needs OpenSSL, and lint does not: it is compiled where that is installed.
bench_programs='build/lint/gcc/bench/floor build/lint/gcc/bench/load'
if ! echo '#include <openssl/ssl.h>' | gcc -E -x c - >/dev/null 2>&1; then
	bench_programs='build/lint/gcc/bench/floor'
fi

compiled_files() {
	case $bench_programs in
	*load) c_files ;;
	*) c_files | grep -v '^bench/load' ;;
	esac
}

# What is compiled into our own Mbed TLS needs its sources for all other checks.
mbedtls_files() {
	printf '%s\n' config/*.c
}

function_length() {
	{ c_files && mbedtls_files; } | xargs awk -v max=$FUNCTION_LINES_MAX '
		FNR == 1 { start = 0 }
		/^\{/ { start = FNR }
		/^\}/ {
			if (start && FNR - start - 1 > max)
				printf "%s:%d: a function of %d lines\n", FILENAME, start, FNR - start - 1
			start = 0
		}'
}

file_length() {
	wc -l ./*.c check/*.c report/*.c bench/*.c config/*.c | awk -v max=$FILE_LINES_MAX '
		$2 != "total" && $1 > max { printf "%s: %d lines\n", $2, $1 }'
}

format() {
	clang-format --dry-run -Werror ./*.[ch] check/*.[ch] report/*.[ch] bench/*.[ch] \
		config/*.[ch] \
		tests/unit/*.c tests/fuzz/*.[ch] tests/faults/*.[ch]
}

# It counts warnings in system headers on standard error; what matters is on standard output.
# shellcheck disable=SC2016 # $0 is for the inner shell
tidy() {
	compiled_files | xargs -P "$jobs" -n 1 sh -c \
		'clang-tidy --quiet "$0" -- -std=c11 -D_GNU_SOURCE -DMTA_STSD_VERSION=\"0\" -I. \
			$(pkg-config --cflags gmime-3.0 | sed "s/-I/-isystem /g") 2>/dev/null'
}

cppcheck_all() {
	c_files | xargs cppcheck --quiet -j "$jobs" --std=c11 --language=c -D_GNU_SOURCE \
		'-DMTA_STSD_VERSION="0"' -I. --enable=warning,style,performance,portability \
		--suppressions-list=tests/lint/cppcheck.txt --inline-suppr --error-exitcode=1
}

# The warnings of the Makefile, as errors. The analyzer sees the program only: it does not know that
# a failed assertion ends a test.
# shellcheck disable=SC2086 # several words
build_gcc() {
	make -s -j "$jobs" BUILD=build/lint/gcc CC=gcc CFLAGS='-O2 -g -Werror -fanalyzer' \
		build/lint/gcc/mta-stsd build/lint/gcc/mta-sts-check build/lint/gcc/mta-sts-report \
		$bench_programs &&
		make -s -j "$jobs" BUILD=build/lint/gcc CC=gcc CFLAGS='-O2 -g -Werror' test-programs
}

# Not every clang has every hardening flag of gcc.
build_clang() {
	make -s -j "$jobs" BUILD=build/lint/clang CC=clang CFLAGS='-O2 -g -Werror' \
		HARDENING_CFLAGS='-fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2' test-programs
}

repository_files() {
	git ls-files --cached --others --exclude-standard | while read -r file; do
		[ ! -f "$file" ] || echo "$file"
	done
}

shell() {
	repository_files | while read -r file; do
		case $(head -c 64 "$file" | head -n 1 | tr -d '\0') in
		'#!'*sh) echo "$file" ;;
		esac
	done | xargs shellcheck
}

python() {
	repository_files | grep '\.py$' |
		PYTHONPYCACHEPREFIX=build/lint/pycache xargs -r /usr/bin/python3 -m py_compile
}

manuals() {
	mandoc -T lint -W warning man/*.[1-8]
}

# finds_nothing ARGUMENT...: of git grep.
finds_nothing() {
	! git grep --untracked -n "$@"
}

check "tools" missing_tools
[ $failed -eq 0 ] || exit 1
check "clang-format" format
check "functions of at most $FUNCTION_LINES_MAX lines" function_length
check "files of at most $FILE_LINES_MAX lines" file_length
check "cppcheck" cppcheck_all
check "gcc with -fanalyzer" build_gcc
check "clang" build_clang
check "clang-tidy" tidy
check "shellcheck" shell
check "python" python
check "mandoc" manuals
check "documents and sources agree" tests/lint/check-docs.sh
check "nothing left to do" finds_nothing -wE 'TODO|FIXME|XXX' -- . ':!tests/lint/run.sh'
check "no sleeps in tests" finds_nothing -E 'sleep *\(' -- tests ':!tests/lint/run.sh'

[ $failed -eq 0 ] || echo "lint: $failed checks failed"
[ $failed -eq 0 ]

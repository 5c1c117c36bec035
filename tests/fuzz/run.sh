#!/bin/sh
# Fuzzes each target for a time, one after the other; needs clang with its libFuzzer. The inputs that
# reach new code stay in build/fuzz/corpus-TARGET, what is found in build/fuzz/TARGET-*.
# usage: tests/fuzz/run.sh SECONDS [TARGET...]
set -u

seconds=$1
shift
cd "$(dirname "$0")/../.." || exit 1
build=build/fuzz
all='conn http ini policy txt env dns smtp tlsrpt unpack'
targets=${*:-$all}
# As in tests/run.sh.
if [ -z "${MTA_STS_VECTORS:-}" ] && [ -d ../shared/vectors ]; then
	MTA_STS_VECTORS=$(cd ../shared/vectors && pwd)
	export MTA_STS_VECTORS
fi

# How long a target's inputs may be. A new target is a name in `all`, tests/fuzz/fuzz_NAME.c, a line in
# seeds.py and perhaps one here; NAME.dict is taken where it is there. What it stands in for (ld --wrap)
# is in the Makefile.
limit_of() {
	case $1 in
	conn) echo 16384 ;;
	http) echo 9000 ;;
	tlsrpt) echo 8192 ;;
	unpack) echo 20000 ;;
	*) echo 4096 ;;
	esac
}

# finish PASSED FAILED SKIPPED
finish() {
	echo "$1 passed, $2 failed, $3 skipped"
	[ "$2" -eq 0 ]
	exit
}

case $seconds in
'' | *[!0-9]* | 0*)
	echo "fuzz: TIME=$seconds is not a number of seconds" >&2
	exit 1
	;;
esac
for target in $targets; do
	if [ ! -f "tests/fuzz/fuzz_$target.c" ]; then
		echo "fuzz: there is no target $target, only: $all" >&2
		exit 1
	fi
done
mkdir -p $build
if ! echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return n < 0 && *d; }' |
	clang -fsanitize=fuzzer,address -x c -o $build/probe - >$build/probe.log 2>&1; then
	echo "fuzz: skipped: there is no clang with libFuzzer: apt-get install clang libclang-rt-dev"
	# shellcheck disable=SC2086 # a list of words
	set -- $targets
	finish 0 0 $#
fi

# Called by make, but this build is its own.
unset MAKEFLAGS MFLAGS MAKELEVEL
programs=
for target in $targets; do
	programs="$programs $build/fuzz_$target"
done
# shellcheck disable=SC2086 # a list of words
make -s -j "$(nproc)" BUILD=$build CC=clang HARDENING_CFLAGS= HARDENING_LDFLAGS= \
	CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all' \
	$programs && /usr/bin/python3 tests/fuzz/seeds.py $build/seeds || exit 1
case " $targets " in
*" conn "*) # it records what its own clients send
	mkdir -p $build/seeds/conn &&
		FUZZ_CONN_SEEDS=$build/seeds/conn $build/fuzz_conn >$build/probe.log 2>&1 || exit 1
	;;
esac

# A number of the final statistics in a log.
stat_of() {
	sed -n "s/^stat::$1: *//p" "$2" | tail -n 1
}

# The last number behind a word of the status lines: "corp: 12/3456b" is 12.
last_of() {
	grep -oE "$1 [0-9]+" "$2" | tail -n 1 | grep -oE '[0-9]+$'
}

# fuzz TARGET: false if it found something. Appends a row to the table.
fuzz() {
	target=$1
	log=$build/$target.log
	set -- $build/corpus-"$target" $build/seeds/"$target"
	mkdir -p "$@"
	[ ! -d tests/fuzz/regress/"$target" ] || set -- "$@" tests/fuzz/regress/"$target"
	[ ! -f tests/fuzz/"$target".dict ] || set -- "$@" -dict=tests/fuzz/"$target".dict
	# GLib's own allocator would hide from the sanitizer what is wrong.
	G_SLICE=always-malloc $build/fuzz_"$target" "$@" "-max_len=$(limit_of "$target")" \
		"-max_total_time=$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		"-artifact_prefix=$build/$target-" >"$log" 2>&1
	status=$?
	found='found nothing'
	if [ $status -ne 0 ]; then
		found=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
	fi
	took=$(sed -n 's/^Done .* runs in \([0-9]*\) second.*/\1/p' "$log")
	printf '%-8s %12s %8s %9s %7s %7s  %s\n' "$target" "$(stat_of number_of_executed_units "$log")" \
		"${took:--}" "$(stat_of average_exec_per_sec "$log")" "$(last_of corp: "$log")" \
		"$(last_of cov: "$log")" "${found:-ended: see $log}" >>$build/table
	[ $status -eq 0 ]
}

passed=0 failed=0
printf '%-8s %12s %8s %9s %7s %7s\n' target executions seconds 'a second' corpus edges >$build/table
for target in $targets; do
	echo "fuzz: $target, for $seconds seconds"
	if fuzz "$target"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		tail -n 60 "$log"
		echo "fuzz: $target: FAILED; to run it again: $build/fuzz_$target $found"
	fi
done
cat $build/table
finish $passed $failed 0
